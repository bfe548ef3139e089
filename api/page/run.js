// What is shown of a run: its stage, its progress, and how long it still takes.

import { Remaining, inWords } from "./remaining.js";
import { count, element, percent, say, sentence, show, the, time } from "./words.js";

const STAGES = ["Data of all parties", "Comparing records", "Preparing the result"];
const HEADLINES = {
  created: "Waiting for the data of all parties",
  queued: "Waiting for its turn",
  completed: "Complete: the result is there",
  error: "Failed: there will be no result",
};
/** What a stage looks like, and what is said of it: never by colour alone. */
const MARKS = { done: "✓ done", now: "● in progress", later: "○ to come", failed: "✕ failed" };

export class RunView {
  #remaining = new Remaining();
  #headline = "";
  #steps = "";

  /**
   * @param {any} status
   * @param {any} description null where the token does not let it be read
   */
  show(status, description) {
    the("run-state").hidden = false;
    say(the("run-facts"), facts(status, description));
    const headline = headlineOf(status);
    say(the("run-headline"), headline);
    // only when it becomes another one, not at each look
    if (this.#headline !== headline) say(the("news"), headline);
    this.#headline = headline;
    this.#showSteps(status);
    this.#showProgress(status);
    show(the("run-message"), status.message && sentence(status.message));
  }

  #showSteps(status) {
    const steps = STAGES.slice(0, status.stages).map((title, index) => [title, mark(status, index + 1)]);
    const news = JSON.stringify(steps);
    if (news === this.#steps) return;
    this.#steps = news;
    the("steps").replaceChildren(...steps.map(([title, state]) => {
      const current = state === "now" ? { "aria-current": "step" } : {};
      return element("li", { class: state, ...current }, element("strong", {}, title), element("span", {}, MARKS[state]));
    }));
  }

  #showProgress(status) {
    const under_way = ["created", "queued", "running"].includes(status.state);
    the("run-progress").hidden = !under_way;
    if (!under_way) return;
    const stage = status.current_stage;
    const progress = status.state === "queued" ? undefined : stage.progress;
    const bar = the("progress");
    say(the("progress-label"), stage.number === 1 ? "Parties that have uploaded" : "Progress");
    if (progress) bar.value = progress.relative;
    else bar.removeAttribute("value");
    say(the("progress-text"), this.#progressText(stage, progress));
  }

  #progressText(stage, progress) {
    // who has uploaded is said above
    if (!progress || stage.number === 1) return "";
    this.#remaining.note(progress.relative, performance.now());
    const seconds = this.#remaining.seconds();
    const left = seconds === null ? "" : ` · ${inWords(seconds)}`;
    return `${percent(progress.relative)} · ${count(progress.absolute)} comparisons${left}`;
  }
}

function headlineOf(status) {
  return HEADLINES[status.state] ?? STAGES[status.current_stage.number - 1];
}

function mark(status, number) {
  const current = status.current_stage.number;
  if (status.state === "completed" || number < current) return "done";
  if (number > current) return "later";
  return status.state === "error" ? "failed" : "now";
}

function facts(status, description) {
  const parts = [];
  if (description?.name) parts.push(description.name);
  if (description) parts.push(`threshold ${description.threshold}`);
  if (status.time_completed) parts.push(`completed ${time(status.time_completed)}`);
  else if (status.time_started) parts.push(`started ${time(status.time_started)}`);
  else if (status.time_added) parts.push(`created ${time(status.time_added)}`);
  if (status.time_expires) parts.push(`deleted by itself ${time(status.time_expires)}`);
  if (status.total_number_comparisons !== undefined) parts.push(`${count(status.total_number_comparisons)} comparisons`);
  return parts.join(" · ");
}
