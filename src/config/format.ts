/** Problems of a configuration as the user reads them, one a line. */
import type { ConfigProblem } from "./problem.ts";

/** `postrider.toml:12: domains.local[0]: expected a domain name, got "exa mple"` */
export function formatProblem(file: string, problem: ConfigProblem): string {
  const line = problem.line === undefined ? "" : `:${problem.line}`;
  const column = problem.kind === "syntax" ? `:${problem.column}` : "";
  const key = problem.key === "" ? "" : ` ${problem.key}:`;
  return `${file}${line}${column}:${key} ${textOf(problem)}`;
}

/** All of them, in the order of the file where lines are known. */
export function formatProblems(file: string, problems: readonly ConfigProblem[]): string {
  const order = [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  return order.map((problem) => `${formatProblem(file, problem)}\n`).join("");
}

function textOf(problem: ConfigProblem): string {
  switch (problem.kind) {
    case "unknown-key":
      return problem.suggestion === undefined ? "unknown key" : `unknown key, did you mean "${problem.suggestion}"?`;
    case "value":
      return `expected ${problem.expected}, got ${problem.got}`;
    default:
      return problem.text;
  }
}
