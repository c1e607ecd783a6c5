// What every widget shares, wherever it is shown: its keys are its own, and it says when its kernel is gone.
const LOST = "The kernel was restarted: run this cell again.";
const NOTE = "margin: .4rem 0 0; font: 600 14px/1.4 system-ui, sans-serif; "
  + "color: var(--pst-color-text-base, var(--jp-content-font-color1, var(--colab-primary-text-color, inherit)));";

// A front end in the format of anywidget -> the same with both.
export function hosted(front) {
  return {
    ...front,
    render({ model, el, ...more }) {
      const note = Object.assign(document.createElement("p"), { role: "status", hidden: true });
      note.style = NOTE;
      const lost = () => { note.hidden = false; note.textContent = LOST; };
      // Notebook 7 looks at keys before they arrive here, and leaves alone those of an element with this mark.
      const mark = (event) => {
        if (el.contains(event.target)) event.target.toggleAttribute("data-lm-suppress-shortcuts", ours(event));
      };
      window.addEventListener("keydown", mark, true);
      el.addEventListener("keydown", keep);
      model.on("comm_live_update", lost); // of Jupyter's widget manager, at a restart
      const forget = front.render({ model, el, ...more });
      const leave = (undo) => () => {
        undo?.();
        window.removeEventListener("keydown", mark, true);
        el.removeEventListener("keydown", keep);
        model.off("comm_live_update", lost);
      };
      el.append(note);
      return typeof forget?.then === "function" ? forget.then(leave) : leave(forget);
    },
  };
}

// Else an arrow at a slider would turn a page of the book, or leave the cell in Jupyter, where a letter may even delete it.
function keep(event) {
  if (ours(event)) event.stopPropagation();
}

function ours(event) {
  return !(event.ctrlKey || event.metaKey || event.altKey);
}
