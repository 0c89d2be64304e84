"use strict";
const body = document.querySelector("tbody");
document.querySelectorAll("th button").forEach((button, column) => {
  let turn = 1;
  button.addEventListener("click", () => {
    const key = (row) => row.cells[column].dataset.key || row.cells[column].textContent;
    const order = new Intl.Collator("en", { numeric: true });
    body.append(...[...body.rows].sort((a, b) => turn * order.compare(key(a), key(b))));
    turn = -turn;
  });
});
document.querySelector("input").addEventListener("change", (event) => {
  for (const row of body.rows) row.hidden = event.target.checked && !row.dataset.look;
});
