/** Writes the tables of docs/sessions.md from those that the sessions run by; a test holds the two together. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { clientStates } from "../src/protocol/client-states.ts";
import { type CommandRule, grammar, type Phase } from "../src/protocol/grammar.ts";

export const sessionTablesPath = fileURLToPath(new URL("../docs/sessions.md", import.meta.url));

const phases: readonly Phase[] = ["start", "ready", "mail", "rcpt", "bdat"];

export function sessionTables(): string {
  const rules = Object.entries<CommandRule>(grammar).map(([verb, rule]) => {
    const marks = phases.map((phase) => (rule.in.includes(phase) ? "yes" : ""));
    const { code, status, text } = rule.otherwise;
    const otherwise = rule.in.length === phases.length ? "" : `${code} ${status} ${text}`;
    return row([
      verb,
      ...marks,
      rule.argument,
      rule.beforeTls ? "yes" : "",
      rule.beforeAuthentication ? "yes" : "",
      String(rule.longest),
      otherwise,
    ]);
  });
  const states = Object.entries(clientStates).map(([state, { timeout, doing }]) => row([state, `${timeout / 1000} s`, `… while ${doing}`]));
  return [
    "# The sessions, as tables",
    "",
    "<!-- Made from src/protocol/grammar.ts and client-states.ts by `node scripts/session-tables.ts`: change them there. -->",
    "",
    "## The server: which command may come when",
    "",
    "`start`: connected, or inside fresh TLS. `ready`: greeted. `mail`: MAIL was accepted. `rcpt`: at least one RCPT was. `bdat`: a BDAT was, and not the last.",
    "*Before TLS* and *before AUTH* count where the port requires them (587, 465). *Octets* is the longest line, CRLF included.",
    "",
    row(["command", ...phases, "argument", "before TLS", "before AUTH", "octets", "otherwise"]),
    row(Array(10).fill("---")),
    ...rules,
    "",
    "## The client: how long it waits, and what it says it was doing",
    "",
    row(["state", "time-out", "in errors"]),
    row(Array(3).fill("---")),
    ...states,
    "",
  ].join("\n");
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

if (import.meta.main) writeFileSync(sessionTablesPath, sessionTables());
