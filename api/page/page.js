// The page for people: opens a project with a token, and shows what becomes of it until the token is forgotten.
//
// Where to start reading: `Session` below is what happens while a project is open; project.js, run.js, scores.js,
// download.js and manage.js show its parts, party.js what a party sees that uploads, watch.js decides when to look again, service.js calls the REST service.

import { Downloads } from "./download.js";
import { ManageView } from "./manage.js";
import { PartyView } from "./party.js";
import { showProject } from "./project.js";
import { RunView } from "./run.js";
import { ScoresView } from "./scores.js";
import { Problem, Service } from "./service.js";
import { Watch } from "./watch.js";
import { element, name, say, sentence, show, the, time } from "./words.js";

/** Milliseconds between two looks: at a run that is under way, at one that waits, and when nothing is to come. */
const OFTEN = 1_000;
const WAITING = [1_500, 10_000];
const RARELY = 30_000;
/** Milliseconds after which the project and the list of runs are asked for again in between. */
const LIST_AGE = 5_000;

const SECTIONS = ["party", "project", "run", "scores", "result", "manage"];

/** A project that is open. */
class Session {
  #id;
  #service;
  #watch;
  #run;
  /** Only the result token may list runs; a receipt token knows one run, if any. */
  #mayList = true;
  #runs = [];
  #listed = -Infinity;
  #project = null;
  #described = null;
  #opened = false;
  #waited = 0;
  #before = "";
  #runView = new RunView();
  #scores = new ScoresView();
  #downloads;
  #manage;
  /** @type {PartyView | null} what is shown instead where the token is one to upload with */
  #party = null;
  #mayUpload = false;

  /**
   * @param {string} project
   * @param {string} token
   * @param {string} run may be empty
   */
  constructor(project, token, run) {
    this.#id = project;
    this.#service = new Service(project, token);
    this.#run = run;
    this.#downloads = new Downloads(this.#service);
    this.#manage = new ManageView(this.#service, {
      created: (run) => {
        say(the("news"), "The run is created.");
        this.#listed = -Infinity;
        this.choose(run);
      },
      deletedRun: () => {
        say(the("news"), "The run is deleted.");
        this.#listed = -Infinity;
        this.choose("");
      },
      deletedProject: () => {
        close();
        say(the("news"), "The project is deleted.");
        the("project-id").focus();
      },
    });
    this.#watch = new Watch((signal) => this.#look(signal), (error, seconds) => this.#trouble(error, seconds));
    this.#watch.soon();
  }

  end() {
    this.#watch.end();
    this.#downloads.end();
    this.#scores.end();
    this.#manage.end();
    this.#party?.end();
    this.#service.forget();
  }

  /** Whether something would be lost if the page were closed now. */
  get isBusy() {
    return this.#party?.isBusy ?? false;
  }

  /** @param {string} run */
  choose(run) {
    show(the("run-gone"), null);
    this.#change(run);
    this.#watch.again();
  }

  /** Nothing that is shown of one run may be taken for another's. @param {string} run */
  #change(run) {
    this.#run = run;
    this.#described = null;
    this.#runView = new RunView();
    this.#downloads.end();
    for (const section of ["run-state", "scores", "result"]) the(section).hidden = true;
  }

  /** Looks once; says when to look again. @param {AbortSignal} signal */
  async #look(signal) {
    if (this.#party !== null) return this.#lookAtInvitation(signal);
    if (performance.now() - this.#listed > LIST_AGE) await this.#lookAround(signal);
    if (this.#party !== null) return RARELY;
    const status = this.#run ? await this.#lookAtRun(signal) : null;
    if (this.#mayList) this.#manage.show(this.#run, status?.state ?? "");
    return this.#pause(status);
  }

  async #lookAround(signal) {
    const project = await this.#service.project(signal).catch((error) => this.#uploads(error, signal));
    if (project === null) return;
    // a party is told of itself alone
    const isParty = project.parties.length < project.number_parties;
    this.#runs = this.#mayList || isParty ? await this.#listRuns(signal) : [];
    this.#listed = performance.now();
    this.#project = project;
    showProject(project);
    if (!this.#opened) this.#open();
    if ((this.#mayList || isParty) && !this.#runs.some((run) => run.run_id === this.#run)) this.#chooseLatest();
    // it may list runs, and neither create nor describe them
    if (isParty) this.#mayList = false;
    showRuns(this.#runs, this.#run, this.#mayList);
  }

  /** Null where the token does not read, but uploads. */
  async #uploads(error, signal) {
    if (this.#opened || !(error instanceof Problem) || error.status !== 403) throw error;
    try {
      await this.#service.uploads(signal);
      this.#mayUpload = true;
    } catch (other) {
      if (!(other instanceof Problem) || other.status !== 403) throw other;
      // a receipt token opens what concerns its party
      await this.#service.invitation(signal).catch(() => {
        throw error;
      });
    }
    this.#party = new PartyView(this.#service);
    await this.#lookAtInvitation(signal);
    this.#open();
    return null;
  }

  async #lookAtInvitation(signal) {
    let invitation = null;
    try {
      invitation = await this.#service.invitation(signal);
    } catch (error) {
      if (!(error instanceof Problem) || error.status === 403 || error.status >= 500) throw error;
    }
    this.#party?.show(invitation, this.#id, this.#mayUpload);
    return RARELY;
  }

  /** There was no run so far, or it was deleted, or there never was one of that id. */
  #chooseLatest() {
    const latest = this.#runs.at(-1)?.run_id ?? "";
    if (latest === this.#run) return;
    const gone = this.#run && `The run ${name(this.#run)} is not in this project, or not any more.`;
    if (gone) show(the("run-gone"), latest ? `${gone} The latest one is shown.` : gone);
    this.#change(latest);
  }

  async #listRuns(signal) {
    try {
      return await this.#service.runs(signal);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 403) throw error;
      this.#mayList = false;
      return [];
    }
  }

  async #lookAtRun(signal) {
    const run = this.#run;
    let status;
    try {
      if (this.#mayList && this.#described === null) this.#described = await this.#service.run(run, "", signal);
      status = await this.#service.run(run, "/status", signal);
    } catch (error) {
      if (!this.#mayList || !(error instanceof Problem) || error.status !== 403) throw error;
      // it may have been deleted since they were listed
      await this.#lookAround(signal);
      if (this.#run === run) throw error;
      return null;
    }
    this.#runView.show(status, this.#described);
    this.#note(run, status.state);
    if (status.state === "completed") await this.#showResult(run, signal);
    return status;
  }

  async #showResult(run, signal) {
    if (the("result").hidden) {
      this.#downloads.offer(this.#project, run, this.#mayList, this.#described?.formats);
    }
    // a receipt token opens no histogram
    if (!this.#mayList || !the("scores").hidden) return;
    const suggestion = await this.#scores.show(this.#service, run, signal);
    this.#manage.offer(run, suggestion, this.#described?.threshold ?? 1);
  }

  /** The list of runs is older than what is known of one of them. */
  #note(run, state) {
    const listed = this.#runs.find((one) => one.run_id === run);
    if (!listed || listed.state === state) return;
    listed.state = state;
    showRuns(this.#runs, run, this.#mayList);
  }

  #pause(status) {
    const seen = JSON.stringify([status, this.#project?.parties]);
    this.#waited = seen === this.#before ? this.#waited + 1 : 0;
    this.#before = seen;
    if (status?.state === "running" || status?.state === "queued") return OFTEN;
    const ended = status?.state === "completed" || status?.state === "error";
    return ended ? RARELY : Math.min(WAITING[0] * 1.3 ** this.#waited, WAITING[1]);
  }

  #open() {
    this.#opened = true;
    the("open").hidden = true;
    the("token").value = "";
    show(the("problem"), null);
    the(this.#party === null ? "project-title" : "party-title").focus();
  }

  #trouble(error, seconds) {
    if (error === null) return show(the("problem"), null);
    if (seconds !== null) return show(the("problem"), `${sentence(error.message)} Trying again in ${seconds} s.`);
    close();
    show(the("problem"), sentence(error.message));
    the("token").focus();
  }
}

/** @type {Session | null} */
let session = null;

function close() {
  session?.end();
  session = null;
  for (const section of SECTIONS) the(section).hidden = true;
  show(the("run-gone"), null);
  the("open").hidden = false;
  show(the("problem"), null);
}

function showRuns(runs, chosen, mayList) {
  the("run").hidden = false;
  the("run-list").hidden = runs.length < 2;
  const missing = mayList
    ? "There is no run yet. Create one below, over the API, by anonlink-client, or by kubectl."
    : "There is no run yet. Whoever holds the project's result token creates it.";
  show(the("no-run"), chosen ? null : missing);
  const options = runs.toReversed().map((run) => [run.run_id, `${name(run.run_id)} · ${run.state} · ${time(run.time_added)}`]);
  const select = the("run-select");
  const before = [...select.options].map((option) => [option.value, option.textContent]);
  if (JSON.stringify(before) !== JSON.stringify(options)) {
    select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  }
  select.value = chosen;
}

/** What is wrong with a token as it was typed in; null if it may be one. @param {string} token */
function wrongToken(token) {
  if (token === "") return "The token is missing.";
  // a user of the cluster may come with a token of Kubernetes
  if (/^[0-9a-f]{48}$/i.test(token) || /^bearer [\x21-\x7e]+$/i.test(token)) return null;
  return `A token has 48 characters, the digits 0 to 9 and the letters a to f. This one has ${token.length} characters.`;
}

function submit(/** @type {SubmitEvent} */ event) {
  event.preventDefault();
  const [project, token, run] = ["project-id", "token", "run-id"].map((id) => the(id).value.trim());
  const wrong = { "project-id": project === "" ? "The project is missing." : null, token: wrongToken(token) };
  const messages = Object.entries(wrong).filter(([, message]) => message !== null);
  for (const id of Object.keys(wrong)) the(id).toggleAttribute("aria-invalid", false);
  for (const [id] of messages) the(id).setAttribute("aria-invalid", "true");
  show(the("problem"), messages.map(([, message]) => message).join(" "));
  if (messages.length > 0) return the(messages[0][0]).focus();
  session?.end();
  session = new Session(project, token, run);
  // a link to keep: it names the project, and never holds the token
  const link = new URLSearchParams(run ? { project, run } : { project });
  history.replaceState(null, "", `#${link}`);
}

function fillFromLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  for (const what of ["project", "run"]) {
    const value = link.get(what);
    if (value) the(`${what}-id`).value = value;
  }
  the("run-choice").open = link.has("run");
  the(link.has("project") ? "token" : "project-id").focus();
}

function toggleToken() {
  const hidden = the("token").type === "password";
  the("token").type = hidden ? "text" : "password";
  the("token-show").setAttribute("aria-pressed", String(hidden));
}

the("open-form").addEventListener("submit", submit);
the("token-show").addEventListener("click", toggleToken);
the("run-select").addEventListener("change", () => session?.choose(the("run-select").value));
for (const button of ["forget", "party-forget"]) {
  the(button).addEventListener("click", () => {
    close();
    say(the("news"), "The token is forgotten.");
    the("token").focus();
  });
}
window.addEventListener("beforeunload", (event) => session?.isBusy && event.preventDefault());
window.addEventListener("hashchange", () => session ?? fillFromLink());
// a page that comes back from the browser's history has forgotten as well
window.addEventListener("pagehide", () => {
  close();
  the("token").value = "";
});
fillFromLink();
