/**
 * `postrider dkim rotate`: new keys take the place of old ones. Each call does the next step that is possible and says what remains.
 *
 * Rules
 * 1. The steps and what holds them up stand in `keys/rotation.ts`; here DNS is asked, files are written and people are told.
 * 2. DNS is asked anew at every call, not out of a memory of ours; the state is written only where a step was done.
 * 3. The configuration is never changed from here: its lines are printed at the switch, and what it says is looked at before anything retires.
 */
import { begin, KEEP, KeyFolder, type Known, nextStep, type Rotation, type RotationStep, selectorsToAsk } from "../keys/index.ts";
import { revokedRecordText, zoneText } from "../message/dkim/index.ts";
import { days } from "../util/clock.ts";
import {
  type Algorithm,
  type ComparedKey,
  compareKeys,
  configLines,
  configuredKeys,
  type DkimOptions,
  inDns,
  withKeys,
} from "./dkim-keys.ts";
import { newKeys, recordsText, selectorsOf } from "./dkim-new.ts";
import { withDns } from "./dns-access.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { painter, print, shown } from "./terminal.ts";

export interface RotateOptions extends DkimOptions {
  readonly selector?: string;
  /** As the keys that sign now, where absent. */
  readonly algorithm?: Algorithm;
  /** Days that old records stay. */
  readonly keep?: number;
}

/** What a call did, for people and for `--json`. */
interface Report {
  readonly step: RotationStep["kind"] | "publish";
  readonly code: number;
  /** Sentences: what was done or found, then what remains. */
  readonly said: readonly string[];
  /** To be published, or to be put in place of what is there. */
  readonly records?: string;
  readonly config?: string;
}

export function rotateKeys(domain: string, options: RotateOptions): Promise<number> {
  return withKeys(async () => {
    const folder = new KeyFolder(options.folder, domain);
    const state = folder.rotation();
    const asked = selectorsToAsk(state).map((selector) => folder.load(selector));
    const compared = asked.length === 0 ? [] : await withDns(options, ({ dns }) => compareKeys(asked, dns));
    const configured = configuredKeys(options)?.filter((table) => table.domain === folder.domain);
    const known: Known = {
      now: Date.now(),
      dns: inDns(compared),
      configured: configured === undefined || configured.length === 0 ? undefined : configured.map(({ selector }) => selector),
      keep: options.keep === undefined ? KEEP : days(options.keep),
    };
    const report = withWarning(apply(folder, state, nextStep(state, known), compared, options), known);
    if (options.json === true) {
      const { step, said, records, config } = report;
      await print(`${JSON.stringify({ domain: folder.domain, step, said, records, config, state: folder.rotation() }, null, 2)}\n`);
    } else await print(describe(folder.domain, report));
    return report.code;
  });
}

/** What nobody could look at is said where it would matter. */
function withWarning(report: Report, { configured }: Known): Report {
  if (configured !== undefined || (report.step !== "keep" && report.step !== "take-back")) return report;
  const warning =
    "No configuration was found that signs for this domain: be sure that nothing uses the old keys any more (--config has it looked at).";
  return { ...report, said: [...report.said, warning] };
}

function apply(folder: KeyFolder, state: Rotation, step: RotationStep, compared: readonly ComparedKey[], options: RotateOptions): Report {
  const again = `Then call \`postrider dkim rotate ${folder.domain}\` again.`;
  const done = (next: Rotation, said: readonly string[], more: Partial<Report> = {}): Report => {
    folder.writeRotation(next);
    return { step: step.kind, code: exitCodes.ok, said, ...more };
  };
  const waiting = (code: number, said: readonly string[], more: Partial<Report> = {}): Report => ({ step: step.kind, code, said, ...more });
  const files = (selectors: readonly string[]) => selectors.map((selector) => folder.load(selector));
  switch (step.kind) {
    case "no-keys":
      throw new CliError(
        exitCodes.noInput,
        `${folder.domain} has no keys in ${folder.path}.`,
        `\`postrider dkim new ${folder.domain}\` makes the first.`,
      );
    case "make": {
      const made = folder.create(newKeys(folder, { ...options, algorithm: options.algorithm ?? sameAlgorithm(folder, state) }));
      const said = [
        `New keys: ${selectorsOf(made).join(", ")}. Mail is signed with ${state.signing.join(", ")} as before.`,
        `Publish these records beside those that are there. ${again}`,
      ];
      return done(begin(state, selectorsOf(made), Date.now()), said, { step: "publish", records: recordsText(made) });
    }
    case "unknown":
      return waiting(exitCodes.temporary, [
        "Nothing was done: DNS could not tell.",
        ...whyOf(compared, step.selectors),
        again.replace("Then call", "Call"),
      ]);
    case "not-published": {
      if (state.next?.verified !== undefined) folder.writeRotation(step.state);
      const said = [
        "Nothing was switched: DNS does not have the new keys.",
        ...whyOf(compared, step.selectors),
        `Publish these records. ${again}`,
      ];
      return waiting(exitCodes.data, said, { records: recordsText(files(step.selectors)) });
    }
    case "verified": {
      const names = step.state.next?.selectors.join(", ");
      return done(step.state, [
        `DNS has the records of ${names}.`,
        `Next: the switch. ${again.replace("Then call", "Call")} If your name servers take a while to agree with one another, wait for that first.`,
      ]);
    }
    case "switched": {
      const old = step.state.retiring?.selectors.join(", ") ?? "none";
      const said = [
        `Switched, DNS has the records: ${step.state.signing.join(", ")} sign from now on, instead of ${old}.`,
        "Put these lines into the configuration in place of the old ones, check them (`postrider config check`) and restart the server.",
        `Leave the old records in DNS: mail that is under way was signed with them. ${again}`,
      ];
      return done(step.state, said, {
        config: files(step.state.signing)
          .map((file) => configLines(file, options))
          .join("\n"),
      });
    }
    case "not-configured": {
      const said = ["Nothing was retired: the configuration does not sign with the new keys yet."];
      if (step.old.length > 0) said.push(`It still signs with ${step.old.join(", ")}.`);
      if (step.missing.length > 0) said.push(`It does not sign with ${step.missing.join(", ")}.`);
      said.push(`Put these lines in place of the old ones and restart the server. ${again}`);
      return waiting(exitCodes.data, said, {
        config: files(state.signing)
          .map((file) => configLines(file, options))
          .join("\n"),
      });
    }
    case "keep": {
      const day = new Date(step.until).toISOString().slice(0, 16).replace("T", " ");
      return waiting(exitCodes.ok, [
        `The records of ${step.selectors.join(", ")} stay until ${day} UTC: mail that is under way was signed with them.`,
        again.replace("Then call", "After that, call"),
      ]);
    }
    case "take-back": {
      const records = files(step.selectors).map(({ key }) => zoneText(key.recordName, revokedRecordText(key)));
      const said = [
        `Nothing needs the records of ${step.selectors.join(", ")} any more.`,
        `Put these in their place, which takes the keys back (RFC 6376 3.6.1), or remove them. ${again}`,
      ];
      return waiting(exitCodes.data, said, { records: records.join("") });
    }
    case "retired": {
      const paths = step.selectors.map((selector) => folder.keyPath(selector)).join(", ");
      return done(step.state, [
        `Done: ${step.selectors.join(", ")} are retired. Nothing needs ${paths} any more; you may remove what is there.`,
      ]);
    }
  }
}

function whyOf(compared: readonly ComparedKey[], selectors: readonly string[]): string[] {
  return compared.flatMap(({ file, comparison }) =>
    selectors.includes(file.key.selector) && comparison.kind !== "published" ? [`${shown(comparison.why)}.`] : [],
  );
}

function sameAlgorithm(folder: KeyFolder, { signing }: Rotation): Algorithm {
  const kinds = new Set(signing.map((selector) => folder.load(selector).key.key.kind));
  return kinds.size > 1 ? "both" : kinds.has("ed25519") ? "ed25519" : "rsa2048";
}

const titles: Readonly<Record<Report["step"], string>> = {
  "no-keys": "no keys",
  make: "new keys",
  publish: "1 of 4, publish",
  "not-published": "waiting for DNS",
  unknown: "DNS did not answer",
  verified: "2 of 4, verified in DNS",
  switched: "3 of 4, switch",
  "not-configured": "waiting for the configuration",
  keep: "4 of 4, retire: not yet",
  "take-back": "4 of 4, retire: take the old records away",
  retired: "4 of 4, retired",
};

function describe(domain: string, { step, said, records, config }: Report): string {
  const paint = painter(process.stdout);
  let text = `${paint("bold", domain)}: ${titles[step]}\n`;
  for (const sentence of said) text += `  ${sentence}\n`;
  if (records !== undefined) text += `\n${records}`;
  if (config !== undefined) text += `\n${config}`;
  return text;
}
