/** Writes docs/cli.md from the commands' own definitions; a test holds the two together. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { makeProgram } from "../src/cli/program.ts";

export const cliReferencePath = fileURLToPath(new URL("../docs/cli.md", import.meta.url));

export function cliReference(): string {
  const program = makeProgram(() => {});
  const parts = [
    "# Commands",
    "",
    "<!-- Made from src/cli/program.ts by `node scripts/cli-reference.ts`: change it there. -->",
    "",
    program.description(),
    "",
    "In a checkout the command is `bin/postrider`; it brings its own Node. `postrider COMMAND --help` prints what stands here.",
    "",
    "Exit codes are those of sysexits.h: 0 good, 64 usage, 65 data, 66 no such file or message, 67 no such recipient or account,",
    "68 no such host, 69 unavailable, 70 software, 73 cannot create, 75 try again later, 77 permission, 78 configuration.",
    "",
    ...program.commands.flatMap((command) => section(command, "postrider")),
  ];
  return `${parts.join("\n").trimEnd()}\n`;
}

function section(command: Command, before: string): string[] {
  const path = `${before} ${command.name()}`;
  const nested = command.commands.flatMap((each) => section(each, path));
  if (nested.length > 0) return [`## ${path}`, "", command.description(), "", ...nested.map((line) => line.replace(/^## /, "### "))];
  const words = command.registeredArguments.map((one) => {
    const name = one.variadic ? `${one.name()}...` : one.name();
    return one.required ? ` <${name}>` : ` [${name}]`;
  });
  return [
    `## ${path}`,
    "",
    command.description(),
    "",
    `    ${path}${words.join("")} [options]`,
    "",
    ...rows(
      ["argument", "what it is"],
      command.registeredArguments.map((one) => [one.name(), one.description]),
    ),
    ...rows(
      ["option", "what it does"],
      command.options.map((one) => [one.flags, one.description + defaultOf(one.defaultValue) + choicesOf(one.argChoices)]),
    ),
  ];
}

function rows(head: readonly [string, string], cells: readonly (readonly [string, string])[]): string[] {
  if (cells.length === 0) return [];
  const body = cells.map(([name, text]) => `| \`${name}\` | ${text.replaceAll("|", "\\|").replaceAll("<", "\\<")} |`);
  return [`| ${head[0]} | ${head[1]} |`, "|---|---|", ...body, ""];
}

const defaultOf = (value: unknown): string => (value === undefined ? "" : ` (default: ${String(value)})`);
const choicesOf = (choices: readonly string[] | undefined): string => (choices === undefined ? "" : ` (${choices.join(", ")})`);

if (import.meta.main) writeFileSync(cliReferencePath, cliReference());
