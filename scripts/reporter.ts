/**
 * What a test run prints: one line for each file, then the failures in full, then what was skipped and why, and last the
 * runner's own counts.
 */
import { relative } from "node:path";
import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

interface FileTally {
  passed: number;
  failed: number;
  skipped: number;
}

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const files = new Map<string, FileTally>();
  const failures: string[] = [];
  const skips: string[] = [];
  const diagnostics: string[] = [];
  const tally = (file: string | undefined): FileTally => {
    const key = nameOf(file);
    const known = files.get(key) ?? { passed: 0, failed: 0, skipped: 0 };
    files.set(key, known);
    return known;
  };
  for await (const event of source) {
    switch (event.type) {
      case "test:pass": {
        if (event.data.details.type === "suite") break;
        const { skip, todo } = event.data;
        const of = tally(event.data.file);
        if (skip === undefined && todo === undefined) of.passed++;
        else {
          of.skipped++;
          skips.push(`${nameOf(event.data.file)}: ${event.data.name}: ${reasonOf(skip ?? todo)}`);
        }
        break;
      }
      case "test:fail": {
        if (event.data.todo !== undefined) break;
        const { error } = event.data.details;
        // A suite that failed by one of its tests has nothing to add.
        if ((error as { failureType?: string }).failureType === "subtestsFailed") break;
        tally(event.data.file).failed++;
        const text = inspect(error.cause ?? error, { colors: false, depth: 6 }).replace(/^/gm, "    ");
        failures.push(`✖ ${event.data.name}\n  ${nameOf(event.data.file)}:${event.data.line ?? 1}\n${text}`);
        break;
      }
      case "test:summary":
        if (event.data.file !== undefined) yield fileLine(event.data.file, tally(event.data.file), event.data.duration_ms);
        break;
      case "test:diagnostic":
        // The counts at the end come without a nesting of their own.
        if (event.data.nesting === 0 && /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /.test(event.data.message)) {
          diagnostics.push(`ℹ ${event.data.message}`);
        }
        break;
      case "test:stderr":
        yield event.data.message;
        break;
      default:
    }
  }
  if (failures.length > 0) yield `\nFailed:\n\n${failures.join("\n\n")}\n`;
  if (skips.length > 0) yield `\nSkipped:\n${skips.map((line) => `- ${line}\n`).join("")}`;
  yield `\n${diagnostics.join("\n")}\n`;
}

function fileLine(file: string, { passed, failed, skipped }: FileTally, ms: number): string {
  const counts = [`${passed} passed`, ...(failed > 0 ? [`${failed} FAILED`] : []), ...(skipped > 0 ? [`${skipped} skipped`] : [])];
  return `${failed > 0 ? "✖" : "✔"} ${nameOf(file)}  ${counts.join(", ")} (${Math.round(ms)} ms)\n`;
}

function nameOf(file: string | undefined): string {
  return file === undefined ? "(no file)" : relative(process.cwd(), file);
}

function reasonOf(skip: string | boolean | undefined): string {
  return typeof skip === "string" && skip !== "" ? skip : "no reason given";
}
