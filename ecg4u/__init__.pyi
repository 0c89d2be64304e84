from .analysis import Analysis as Analysis
from .analysis import analyse as analyse
from .cohort import Cohort as Cohort
from .cohort import analyse_many as analyse_many
from .digitize import digitize as digitize
from .digitize import digitize_page as digitize_page
from .errors import ECG4UError as ECG4UError
from .explain import Explanation as Explanation
from .explain import explain as explain
from .io import Page as Page
from .io import read_record as read_record
from .io import write_record as write_record
from .model import Classification as Classification
from .model import Classifier as Classifier
from .model import classify as classify
from .record import CLASSES as CLASSES
from .record import LEADS as LEADS
from .record import ECGRecord as ECGRecord
from .record import Provenance as Provenance

__version__: str
