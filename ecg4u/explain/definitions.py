"""What each feature is, in one sentence: the last column of the feature table."""

from __future__ import annotations

from collections.abc import Mapping

GLOBAL: Mapping[str, str] = {
    "beats": "Number of QRS complexes found, using all leads.",
    "rate": "60 s divided by the mean RR interval.",
    "rr_range": "Longest minus shortest RR interval.",
    "rr_irregularity": "RMSSD of the RR intervals divided by their mean.",
    "rr_change": "Median relative change between successive RR intervals of usual beats.",
    "pvc": "Early beats that are wide or differ in shape, without a P wave of their own.",
    "pac": "Early beats of the usual shape.",
    "p_correlation": "Mean beat-to-beat correlation of the window 280 to 70 ms before R.",
    "p_probability": "Highest mean P-wave probability before the QRS, median over the leads.",
    "p_presence": "Logistic model of P correlation, P probability and RR change; no P if < 0.5.",
    "pr": "P onset to QRS onset of the median beat.",
    "p_duration": "P onset to P end of the median beat.",
    "qrs": "QRS onset to QRS end of the median beat, over all leads.",
    "qt": "QRS onset to T end of the median beat.",
    "qtc_bazett": "QT divided by the square root of RR in s (Bazett 1920).",
    "qtc_fridericia": "QT divided by the cube root of RR in s (Fridericia 1920).",
    "axis": "Frontal axis of the net QRS area in two limb leads.",
    "p_axis": "Frontal axis of the net P area in two limb leads.",
    "nk_beats": "R peaks that NeuroKit2 finds in the lead with the longest unbroken stretch.",
    "nk_agreement": "F1 score of NeuroKit2's R peaks against ours in that lead, within 75 ms.",
    "nk_rr_cvsd": "RMSSD divided by the mean RR interval, from NeuroKit2's R peaks.",
    "nk_rr_cvnn": "SD divided by the mean RR interval, from NeuroKit2's R peaks.",
    "nk_rr_sampen": "Sample entropy of NeuroKit2's RR intervals (m = 2, r = 0.2 SD).",
    "nk_rr_shannon": "Shannon entropy of NeuroKit2's RR intervals in six bins.",
    "nk_p_share": "Share of beats in which NeuroKit2's delineation (prominence) finds a P peak.",
    "nk_quality": "Mean of NeuroKit2's ecg_quality: 1 if all beats are alike.",
}
LEAD: Mapping[str, str] = {
    "q": "Amplitude of the Q wave.",
    "r": "Amplitude of the R wave.",
    "s": "Amplitude of the S wave.",
    "r_prime": "Amplitude of a second R wave.",
    "p": "Amplitude of the P wave against the line from its onset to its end.",
    "t": "Amplitude of the T wave.",
    "j": "Level at the J point (QRS end).",
    "st60": "Level 60 ms after the J point.",
    "st_slope": "Slope of the ST segment.",
    "s_ms": "Duration of the S wave.",
    "r_peak_time": "QRS onset to the peak of the last R wave.",
    "notches": "Number of notches in the R wave.",
    "slurred": "1 if the R wave is slurred.",
    "rsr": "1 if a second R wave follows the S wave.",
    "terminal": "Mean level of the last part of the QRS.",
    "qrs_area": "Net area of the QRS.",
    "p_area": "Net area of the P wave.",
}
