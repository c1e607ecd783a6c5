// Files may be dropped anywhere on the playground: beside the field, the browser would leave the page for them.
export function takeDrops(root, own, panel) {
  const over = (yes) => { own.node.dataset.over = yes ? "yes" : "no"; };
  root.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    panel.open();
    over(true);
  });
  root.addEventListener("dragleave", () => over(false));
  root.addEventListener("drop", (event) => {
    over(false);
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    panel.open();
    own.open(file);
  });
}
