// Guide: questions with choices, and below them what the chosen ones advise, and a call made of them. No kernel is asked.
//
// The model's `state` holds: call (with {settings} and {arguments}), arguments (name -> text, "" for the name itself), and
// questions, each with question, choices, says and sets (name -> text, or null). Texts are HTML that guide.py has escaped.
import { button, element } from "./elements.js";
import STYLE from "./guide.css" with { type: "text" };

// The call that the chosen settings make. An argument that is null is left out; "" stands for its own name.
export function called(state, chosen) {
  const sets = Object.assign({}, ...state.questions.map((question, k) => question.sets[chosen[k]]));
  const own = Object.keys(state.arguments);
  const settings = Object.entries(sets).filter(([name, text]) => !own.includes(name) && text !== null).map(([name, text]) => `${name}=${text}`);
  const passed = own.map((name) => [name, Object.hasOwn(sets, name) ? sets[name] : state.arguments[name]]).filter(([, text]) => text !== null)
    .map(([name, text]) => text || name);
  const filled = { "{settings}": settings.join(", "), "{arguments}": passed.join(", ") };
  return state.call.replace(/\{settings\}|\{arguments\}/g, (place) => filled[place]);
}

let guides = 0;

export default {
  render({ model, el }) {
    const state = model.get("state");
    const chosen = state.questions.map(() => 0);
    const mine = guides += 1;
    const code = element("code");
    const advice = element("ul");
    const copied = element("span", { role: "status" });
    const copy = button("Copy code", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        copied.textContent = "Copied.";
      } catch { // an address without https has no clipboard
        getSelection().selectAllChildren(code);
        copied.textContent = "This page may not copy by itself. The code is selected: copy it.";
      }
    });
    const answer = element("div", { className: "sgd-answer" }, element("div", { role: "status" }, element("pre", {}, code)),
      element("div", { className: "sgd-copy" }, copy, copied), element("div", { role: "status" }, advice));
    const show = () => {
      code.textContent = called(state, chosen);
      copied.textContent = "";
      advice.replaceChildren(...state.questions.map((question, k) => question.says[chosen[k]]).filter(Boolean)
        .map((text) => element("li", { innerHTML: text })));
    };
    const fields = state.questions.map((question, k) => element("fieldset", {},
      element("legend", { innerHTML: question.question }),
      element("div", {}, ...question.choices.map((choice, i) => {
        const radio = element("input", { type: "radio", name: `sgd-${mine}-${k}`, checked: i === 0 });
        radio.addEventListener("change", () => { chosen[k] = i; show(); });
        return element("label", {}, radio, element("span", { innerHTML: choice }));
      }))));
    show();
    el.append(element("style", { textContent: STYLE }), element("div", { className: "sgd" }, ...fields, answer));
  },
};
