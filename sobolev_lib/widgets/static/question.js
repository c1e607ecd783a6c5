// Question: choices or a number, and what is said to the answer. Nothing is asked of a kernel.
//
// The model's `state` holds: question, says, veil, and choices with right (their place, or null), or number, shown, tolerance and
// hints (numbers; says[0] is the right one's, says[1 + i] that of hints[i]). Texts are HTML that question.py has escaped.
import { judged } from "./answers.js";
import { button, element } from "./elements.js";
import STYLE from "./question.css" with { type: "text" };

// On the site: blur what the cell after this one shows. Returns the way to show it.
function veil(el) {
  const cells = [...document.querySelectorAll(".bd-article .cell")];
  const output = cells[cells.indexOf(el.closest(".cell")) + 1]?.querySelector(".cell_output");
  if (!el.closest(".bd-article .cell") || !output) return () => {};
  output.classList.add("squ-veiled");
  output.inert = true;
  return () => { output.classList.remove("squ-veiled"); output.inert = false; };
}

export default {
  render({ model, el }) {
    const state = model.get("state");
    const says = element("p", { className: "squ-says", role: "status" });
    const lift = state.veil ? veil(el) : () => {};
    let show = null;
    const unveil = () => {
      lift();
      if (state.choices && show) show.disabled = true; // nothing is left to be shown
    };
    const say = (text) => { says.innerHTML = text; };
    const answers = element("div", { className: "squ-answers" });
    const box = element("div", { className: "squ" }, element("p", { className: "squ-question", innerHTML: state.question }), answers, says);

    if (state.choices) {
      const buttons = state.choices.map((choice, i) => button("", () => {
        buttons.forEach((other, k) => { other.ariaPressed = String(k === i); });
        say(state.says[i]);
        unveil();
      }, { innerHTML: choice, ariaPressed: "false" }));
      answers.append(...buttons);
    } else {
      const field = element("input", { type: "text", inputMode: "decimal", autocomplete: "off", ariaLabel: "Your answer, a number" });
      const check = () => {
        const [text, right] = judged(state, field.value);
        say(text);
        if (right) unveil();
      };
      field.addEventListener("keydown", (event) => { if (event.key === "Enter") check(); });
      answers.append(field, button("Check", check));
    }
    if (!state.choices || state.veil) {
      show = button(state.choices ? "Show me" : "Show the answer", () => {
        // a prediction has no answer but what it veils
        const answer = state.choices ? state.choices[state.right] : state.shown;
        if (answer) say(`<b>${answer}.</b> ${state.says[state.right ?? 0].replace(/^<b>.*?<\/b>/, "")}`);
        unveil();
        show.disabled = true;
      }, { className: "squ-show" });
      answers.append(show);
    }

    el.append(element("style", { textContent: STYLE }), box);
    return unveil;
  },
};
