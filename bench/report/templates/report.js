"use strict";
(() => {
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const count = document.getElementById("count");
  const selects = [...document.querySelectorAll("[data-filter]")];
  const search = document.getElementById("search"); // not on every page
  const cell = (row, name) => row.querySelector(`[data-name="${name}"]`);

  function filter() {
    let shown = 0;
    const words = search ? search.value.toLowerCase().split(/\s+/) : [];
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word)) || selects.some(
        (select) => select.value && cell(row, select.dataset.filter).textContent.trim() !== select.value
      );
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  }
  for (const select of selects) select.addEventListener("change", filter);
  if (search) search.addEventListener("input", filter);
  // A reset empties the fields after its event.
  document.querySelector(".filters").addEventListener("reset", () => setTimeout(filter));
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());

  function sort(heading) {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    const numeric = heading.classList.contains("numeric");
    const value = (row) => cell(row, heading.dataset.name).dataset.value;
    const ordered = [...rows].sort((a, b) => {
      const [left, right] = [value(a), value(b)];
      if (left === "" || right === "") return (left === "") - (right === ""); // missing last
      const order = numeric ? Number(left) - Number(right) : left.localeCompare(right);
      return up ? order : -order;
    });
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...ordered);
  }
  for (const heading of table.tHead.rows[0].cells) {
    heading.querySelector("button").addEventListener("click", () => sort(heading));
  }

  const theme = document.getElementById("theme");
  const root = document.documentElement;
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemIsDark.matches);
  function showTheme() {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", String(isDark()));
  }
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  systemIsDark.addEventListener("change", showTheme);
  showTheme();

  for (const button of document.querySelectorAll("[data-download]")) {
    button.addEventListener("click", () => {
      const name = button.dataset.download;
      const content = JSON.parse(document.querySelector(`[data-file="${name}"]`).textContent);
      const text = typeof content === "string" ? content : JSON.stringify(content, null, 2);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
      link.download = name;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }
})();
