// Additions to the form, which works without: a file may be dropped anywhere, and waiting is told.
document.documentElement.classList.add("js");

const form = document.querySelector("[data-drop]");
const zone = form.querySelector("[data-drop-zone]");
const input = form.querySelector('input[type="file"]');
const progress = form.querySelector("[data-progress]");
let depth = 0;

const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

document.addEventListener("dragenter", (event) => {
  if (!holdsFiles(event)) return;
  depth += 1;
  zone.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!holdsFiles(event)) return;
  depth = Math.max(0, depth - 1);
  if (depth === 0) zone.classList.remove("over");
});
document.addEventListener("dragover", (event) => {
  if (holdsFiles(event)) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  depth = 0;
  zone.classList.remove("over");
  input.files = event.dataTransfer.files;
  form.requestSubmit();
});
form.addEventListener("submit", () => {
  progress.textContent = progress.dataset.text;
});
// Coming back by the browser's history must not still say that something is being checked.
window.addEventListener("pageshow", () => {
  progress.textContent = "";
});
