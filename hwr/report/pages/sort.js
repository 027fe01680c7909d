// Tables of the class "sortable": every column head becomes a button that sorts the rows by that column.

const collator = new Intl.Collator(undefined, { numeric: true });

// What a cell is sorted by: its data-value where it has one, else its text; as a number where it is one.
function sortKey(row, column) {
  const cell = row.cells[column];
  const text = (cell.dataset.value ?? cell.textContent).trim();
  const number = text === "" ? NaN : Number(text);
  return Number.isNaN(number) ? text : number;
}

// Numbers before texts, and nothing last whichever way the rest runs.
function compareKeys(one, other, sign) {
  if (one === "" || other === "") return (one === "") - (other === "");
  if (typeof one !== typeof other) return typeof one === "number" ? -sign : sign;
  return sign * (typeof one === "number" ? one - other : collator.compare(one, other));
}

function sortTable(table, head) {
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  for (const body of table.tBodies) {
    const keyed = Array.from(body.rows, (row) => ({ row, key: sortKey(row, head.cellIndex) }));
    keyed.sort((one, other) => compareKeys(one.key, other.key, sign));
    for (const { row } of keyed) body.append(row);
  }
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.querySelectorAll("th[scope=col]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortTable(table, head));
    head.append(button);
  }
}
