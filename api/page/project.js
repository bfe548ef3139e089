// What is shown of a project: what it is for, and who has uploaded.

import { count, element, name, say, sentence, show, the, time } from "./words.js";

/** What a project hands out, for people. */
const KINDS = {
  groups: "Its result: groups of records that belong to one person.",
  similarity_scores: "Its result: all pairs of similar records, with their similarity.",
  permutations: "Its result: for each party an order of its records, in which those of one person are at the same place; "
    + "and a mask that tells which places match.",
};

const STATES = {
  waiting: "not there yet",
  ingesting: "being read",
  contributed: "there",
  rejected: "cannot be used: the party must upload again",
};

let shown = "";

/** @param {any} project */
export function showProject(project) {
  // a table that is made anew loses the reader's place
  const news = JSON.stringify(project);
  if (news === shown && !the("project").hidden) return;
  shown = news;
  the("project").hidden = false;
  say(the("project-title"), project.name || `Project ${name(project.project_id)}`);
  show(the("project-notes"), project.notes);
  say(the("project-kind"), `${KINDS[project.result_type] ?? ""}${project.uses_blocking
    ? " Only records that share a block are compared." : ""}${ends(project)}`);
  const [there, all] = [project.parties_contributed, project.number_parties];
  const everyone = all === 2 ? "Both parties have uploaded." : `All ${all} parties have uploaded.`;
  say(the("parties-summary"), there === all
    ? everyone : `${there} of ${all} parties ${there === 1 ? "has" : "have"} uploaded.`);
  const parties = project.parties ?? [];
  the("parties").hidden = parties.length === 0;
  the("parties").tBodies[0].replaceChildren(...parties.map(row));
}

function ends(project) {
  const data = project.time_expires ? ` All of it is deleted by itself on ${time(project.time_expires)}.` : "";
  return project.time_tokens_expire ? `${data} Your token is good until ${time(project.time_tokens_expire)}.` : data;
}

function row(party) {
  const state = element("td", { class: "data" }, (party.state === "contributed" ? "✓ " : "") + (STATES[party.state] ?? party.state));
  if (party.time_contributed) state.append(" since ", element("span", { class: "whole" }, time(party.time_contributed)));
  if (party.message) state.append(element("p", { class: "reason" }, sentence(party.message)));
  const records = party.records === undefined ? "" : count(party.records);
  return element("tr", {}, element("th", { scope: "row" }, party.name), state, element("td", { class: "number" }, records));
}
