// Corrections as a CSV file, and where they are kept between visits.

// RFC 4180. A cell that a spreadsheet would take for a formula gets an apostrophe in front, as every table of hwr does.
function toCell(text) {
  const safe = /^'*[=+\-@\t\r\n＝＋－＠]/u.test(text) ? `'${text}` : text;
  return /^ |[",\r\n]/u.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function toCsv(rows) {
  return rows.map((row) => `${row.map(toCell).join(",")}\r\n`).join("");
}

// Hands a file over without any network.
function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // at once would be too early for some browsers
}

// Labels by id that outlive the page, where the browser allows it; troubled is told where it does not.
function storeOf(key, troubled) {
  return {
    key,
    read() {
      try {
        const pairs = JSON.parse(localStorage.getItem(key) ?? "[]");
        const sound = (pair) => Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === "string");
        return new Map(pairs.filter(sound));
      } catch (error) {
        troubled(error);
        return new Map();
      }
    },
    write(labels) {
      try {
        if (labels.size) localStorage.setItem(key, JSON.stringify([...labels]));
        else localStorage.removeItem(key);
      } catch (error) {
        troubled(error);
      }
    },
  };
}
