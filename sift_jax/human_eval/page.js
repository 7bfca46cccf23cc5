// Shows a task at a time, keeps what was given in localStorage, and saves it as a file.
"use strict";
const study = JSON.parse(document.getElementById("data").textContent);
const kept = `human-eval-${study.study}`;
const state = Object.assign({ rater: "", place: 0, ratings: {}, seconds: {} },
  JSON.parse(localStorage.getItem(kept) || "{}"));
const names = Object.keys(study.scales);
const WORDS = { preference: { "1": "First is better", "0": "Alike", "-1": "Second is better" } };
const YES_NO = { "1": "Yes", "0": "No" };
let shownAt = Date.now();

function keep() { localStorage.setItem(kept, JSON.stringify(state)); }

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function word(name, value) {
  const [low, high] = study.scales[name];
  if (WORDS[name]) return WORDS[name][value];
  return low === 0 && high === 1 ? YES_NO[value] : String(value);
}

function values(name) {
  const [low, high] = study.scales[name];
  const listed = [];
  for (let value = low; value <= high; value++) listed.push(value);
  // the first answer is the left button
  return low < 0 ? listed.reverse() : listed;
}

function isWhole(task) {
  const given = state.ratings[task.name] || {};
  return names.every((name) => name in given);
}

function rate(task, name, value) {
  (state.ratings[task.name] = state.ratings[task.name] || {})[name] = value;
  state.seconds[task.name] = (state.seconds[task.name] || 0) + Math.round((Date.now() - shownAt) / 1000);
  shownAt = Date.now();
  keep();
  mark();
}

// What is given, and how far it is. The players stay: a recording goes on while it is rated.
function mark() {
  const task = study.tasks[state.place], given = state.ratings[task.name] || {};
  for (const button of document.querySelectorAll("#task button")) {
    const pressed = given[button.dataset.scale] === Number(button.dataset.value);
    button.setAttribute("aria-pressed", pressed);
  }
  document.getElementById("progress").textContent =
    `Task ${state.place + 1} of ${study.tasks.length}, ${study.tasks.filter(isWhole).length} rated`;
}

function show() {
  const task = study.tasks[state.place], box = document.getElementById("task");
  box.replaceChildren();
  box.lang = task.language;
  task.audio.forEach((source, number) => {
    box.append(make("audio", "", { controls: "", src: source, "aria-label": `Recording ${number + 1}` }));
  });
  box.append(make("p", task.question, { class: "question" }));
  task.answers.forEach((answer, number) => {
    if (!answer) return;
    if (task.answers.length > 1) box.append(make("p", `Answer ${number + 1}`));
    box.append(make("blockquote", answer));
  });
  for (const name of names) {
    const set = document.createElement("fieldset");
    set.append(make("legend", name));
    for (const value of values(name)) {
      const button = make("button", word(name, value), { type: "button", "data-scale": name, "data-value": value });
      button.addEventListener("click", () => rate(task, name, value));
      set.append(button);
    }
    box.append(set);
  }
  mark();
  document.getElementById("back").disabled = state.place === 0;
  document.getElementById("next").disabled = state.place === study.tasks.length - 1;
}

function move(by) {
  state.place = Math.min(Math.max(state.place + by, 0), study.tasks.length - 1);
  shownAt = Date.now();
  keep();
  show();
}

function save() {
  if (!state.rater.trim()) {
    document.getElementById("rater").focus();
    document.getElementById("progress").textContent = "Please give your name or number first.";
    return;
  }
  const told = { study: study.study, rater: state.rater.trim(), ratings: state.ratings, seconds: state.seconds };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(told, null, 1)], { type: "application/json" }));
  link.download = `ratings-${state.rater.trim().replace(/[^\w-]+/g, "_")}.json`;
  link.click();
}

document.getElementById("rater").value = state.rater;
document.getElementById("rater").addEventListener("input", (event) => { state.rater = event.target.value; keep(); });
document.getElementById("back").addEventListener("click", () => move(-1));
document.getElementById("next").addEventListener("click", () => move(1));
document.getElementById("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
  const task = study.tasks[state.place];
  if (event.key === "ArrowLeft") move(-1);
  else if (event.key === "ArrowRight") move(1);
  else if (event.key === " " && event.target.tagName !== "BUTTON") {
    const player = document.querySelector("#task audio");
    if (player) { event.preventDefault(); player.paused ? player.play() : player.pause(); }
  } else if (/^[0-9]$/.test(event.key) && names.length === 1) {
    const [low, high] = study.scales[names[0]];
    // of two answers, 1 and 2 choose one, 0 says that they are alike; a single digit gives 10 by no key
    const value = low < 0 ? { "1": 1, "2": -1, "0": 0 }[event.key] : Number(event.key);
    if (value !== undefined && value >= low && value <= high) rate(task, names[0], value);
  }
});
show();
