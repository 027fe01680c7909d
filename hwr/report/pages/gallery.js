// Galleries with filters: cards that do not fit are hidden, and a count says how many are left.

function setUpGallery(root) {
  const [truth, prediction] = ["truth", "prediction"].map((name) => root.querySelector(`select[name=${name}]`));
  const [from, to] = ["from", "to"].map((name) => root.querySelector(`input[name=${name}]`));
  const count = root.querySelector("output");
  const cards = Array.from(root.querySelectorAll(".glyphs > li"), (item) => ({
    item,
    truth: item.dataset.truth,
    prediction: item.dataset.prediction,
    sure: Number(item.dataset.sure),
  }));

  function apply() {
    // Labels are compared as they are written in the page; "any" has none, for every text can be a label.
    const [wantedTruth, wantedPrediction] = [truth, prediction].map((list) => list.selectedOptions[0].dataset.label);
    const least = from.value === "" ? -Infinity : from.valueAsNumber;
    const most = to.value === "" ? Infinity : to.valueAsNumber;
    let shown = 0;
    for (const card of cards) {
      const fits =
        (wantedTruth === undefined || card.truth === wantedTruth) &&
        (wantedPrediction === undefined || card.prediction === wantedPrediction) &&
        card.sure >= least &&
        card.sure <= most;
      card.item.classList.toggle("out", !fits);
      shown += fits;
    }
    count.value = `${shown.toLocaleString("en")} of ${cards.length.toLocaleString("en")} shown`;
  }

  function choose(list, label) {
    const found = Array.from(list.options).findIndex((option) => option.dataset.label === label);
    list.selectedIndex = Math.max(0, found);
  }

  function show(wantedTruth, wantedPrediction) {
    choose(truth, wantedTruth);
    choose(prediction, wantedPrediction);
    from.value = to.value = "";
    apply();
  }

  const filters = root.querySelector(".filters");
  filters.addEventListener("input", apply);
  filters.querySelector("button").addEventListener("click", () => show(undefined, undefined));
  // The links lead to the gallery by themselves; what they add is the choice.
  for (const link of document.querySelectorAll(`a[data-truth][href="#${root.id}"]`)) {
    link.addEventListener("click", () => show(link.dataset.truth, link.dataset.prediction));
  }
  filters.hidden = false;
  apply(); // a browser may have kept the choices of the last visit
}

for (const root of document.querySelectorAll("section.gallery")) setUpGallery(root);
