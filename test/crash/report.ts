/**
 * The table of what was measured, for the terminal and for docs/durability.md.
 *
 * Rules
 * 1. Nothing may be lost, and nothing may come twice without an explanation: `failures` says what did.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { OrderReport } from "./order.ts";
import type { PowerReport } from "./power.ts";
import type { RoundResult } from "./round.ts";

const page = fileURLToPath(new URL("../../docs/durability.md", import.meta.url));
const BEGIN = "<!-- measured: begin -->";
const END = "<!-- measured: end -->";

export class Report {
  readonly failures: string[] = [];
  readonly #rows: string[][] = [];
  #order = { replies: 0, large: 0, early: 0 };
  #accepted = 0;

  addRounds(title: string, results: readonly RoundResult[]): void {
    const sum = (count: (result: RoundResult) => number): number => results.reduce((total, result) => total + count(result), 0);
    const accepted = sum((result) => result.accepted);
    const lost = sum((result) => result.lost.length);
    const twice = sum((result) => result.twice.length);
    const unexplained = sum((result) => result.unexplained.length);
    const restarts = results.map(({ restart }) => restart).sort((a, b) => a - b);
    this.#accepted += accepted;
    const restart = `${Math.round(restarts[restarts.length >> 1] ?? 0)}`;
    this.#add(title, [results.length, accepted, lost, twice, twice - unexplained], restart);
    for (const { lost, damaged, unexplained } of results) {
      for (const id of lost) this.failures.push(`${title}: ${id} is lost`);
      for (const id of damaged) this.failures.push(`${title}: ${id} came damaged`);
      for (const id of unexplained) this.failures.push(`${title}: ${id} came twice and nothing explains it`);
    }
  }

  addPower(title: string, reports: readonly PowerReport[]): void {
    const sum = (count: (report: PowerReport) => number): number => reports.reduce((total, report) => total + count(report), 0);
    const twice = sum((report) => report.twice.length);
    const lost = sum((report) => report.lost.length);
    this.#add(title, [sum(({ moments }) => moments), sum(({ accepted }) => accepted), lost, twice, 0], "");
    for (const { lost, twice, refused } of reports) {
      for (const what of lost) this.failures.push(`${title}: lost: ${what}`);
      for (const what of twice) this.failures.push(`${title}: would be sent again: ${what}`);
      for (const what of refused) this.failures.push(`${title}: not opened: ${what}`);
    }
  }

  addOrder({ replies, large, violations }: OrderReport): void {
    this.#order.replies += replies;
    this.#order.large += large;
    this.#order.early += violations.length;
    this.failures.push(...violations);
  }

  /** As Markdown. */
  text(): string {
    const head = ["where it was ended", "rounds", "acknowledged", "lost", "twice", "of those explained", "restart, ms"];
    const lines = [head, head.map((_, i) => (i === 0 ? "---" : "--:")), ...this.#rows].map((row) => `| ${row.join(" | ")} |`);
    const { replies, large, early } = this.#order;
    const order = `Order of system calls: ${replies} replies of 250 (${large} for bodies in files of their own) were looked at, ${early} were written before the syncs they stand for had returned.`;
    const total = `In rounds with a restart ${this.#accepted} messages were acknowledged.`;
    return `${lines.join("\n")}\n\n${replies === 0 ? total : `${total} ${order}`}\n`;
  }

  /** Puts it into the page. */
  write(when: string): void {
    const text = readFileSync(page, "utf8");
    const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
    if (before < 0 || after < before) throw new Error(`${page}: no place for the table between ${BEGIN} and ${END}`);
    writeFileSync(page, `${text.slice(0, before)}${BEGIN}\n${when}\n\n${this.text()}${text.slice(after)}`);
  }

  #add(title: string, counts: readonly number[], restart: string): void {
    this.#rows.push([title, ...counts.map(String), restart]);
  }
}
