/**
 * `postrider dkim rotate`: new keys take the place of old ones. Each call does the next step that is possible and says what remains.
 *
 * Rules
 * 1. The steps and what holds them up stand in `keys/rotation.ts`; here DNS is asked, files are written and people are told.
 * 2. DNS is asked anew at every call, not out of a memory of ours; the state is written only where a step was done.
 * 3. The configuration is never changed from here: its lines are printed at the switch, and what it says is looked at before anything retires.
 */
import {
  begin,
  KEEP,
  type KeyFile,
  KeyFolder,
  type Known,
  nextStep,
  type Rotation,
  type RotationStep,
  selectorsToAsk,
} from "../keys/index.ts";
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
    const report = withWarning(new Call(folder, state, compared, options).take(nextStep(state, known)), known);
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

type Step<K extends RotationStep["kind"]> = Extract<RotationStep, { kind: K }>;

/** One call: the step is done, written and put into words. */
class Call {
  readonly #folder: KeyFolder;
  readonly #state: Rotation;
  readonly #compared: readonly ComparedKey[];
  readonly #options: RotateOptions;
  readonly #command: string;

  constructor(folder: KeyFolder, state: Rotation, compared: readonly ComparedKey[], options: RotateOptions) {
    this.#folder = folder;
    this.#state = state;
    this.#compared = compared;
    this.#options = options;
    this.#command = `\`postrider dkim rotate ${folder.domain}\``;
  }

  take(step: RotationStep): Report {
    switch (step.kind) {
      case "no-keys":
        throw this.#noKeys();
      case "make":
        return this.#make();
      case "unknown":
        return this.#unknown(step);
      case "not-published":
        return this.#notPublished(step);
      case "verified":
        return this.#verified(step);
      case "switched":
        return this.#switched(step);
      case "not-configured":
        return this.#notConfigured(step);
      case "keep":
        return this.#keep(step);
      case "take-back":
        return this.#takeBack(step);
      case "retired":
        return this.#retired(step);
    }
  }

  #noKeys(): CliError {
    const { domain, path } = this.#folder;
    return new CliError(exitCodes.noInput, `${domain} has no keys in ${path}.`, `\`postrider dkim new ${domain}\` makes the first.`);
  }

  #make(): Report {
    const { signing } = this.#state;
    const algorithm = this.#options.algorithm ?? sameAlgorithm(this.#folder, this.#state);
    const made = this.#folder.create(newKeys(this.#folder, { ...this.#options, algorithm }));
    this.#folder.writeRotation(begin(this.#state, selectorsOf(made), Date.now()));
    const said = [
      `New keys: ${selectorsOf(made).join(", ")}. Mail is signed with ${signing.join(", ")} as before.`,
      `Publish these records beside those that are there. Then call ${this.#command} again.`,
    ];
    return { step: "publish", code: exitCodes.ok, said, records: recordsText(made) };
  }

  #unknown({ kind, selectors }: Step<"unknown">): Report {
    const said = ["Nothing was done: DNS could not tell.", ...this.#why(selectors), `Call ${this.#command} again.`];
    return { step: kind, code: exitCodes.temporary, said };
  }

  #notPublished({ kind, selectors, state }: Step<"not-published">): Report {
    if (this.#state.next?.verified !== undefined) this.#folder.writeRotation(state);
    const said = [
      "Nothing was switched: DNS does not have the new keys.",
      ...this.#why(selectors),
      `Publish these records. Then call ${this.#command} again.`,
    ];
    return { step: kind, code: exitCodes.data, said, records: recordsText(this.#files(selectors)) };
  }

  #verified({ kind, state }: Step<"verified">): Report {
    this.#folder.writeRotation(state);
    const said = [
      `DNS has the records of ${state.next?.selectors.join(", ")}.`,
      `Next: the switch. Call ${this.#command} again. If your name servers take a while to agree with one another, wait for that first.`,
    ];
    return { step: kind, code: exitCodes.ok, said };
  }

  #switched({ kind, state }: Step<"switched">): Report {
    this.#folder.writeRotation(state);
    const old = state.retiring?.selectors.join(", ") ?? "none";
    const said = [
      `Switched, DNS has the records: ${state.signing.join(", ")} sign from now on, instead of ${old}.`,
      "Put these lines into the configuration in place of the old ones, check them (`postrider config check`) and restart the server.",
      `Leave the old records in DNS: mail that is under way was signed with them. Then call ${this.#command} again.`,
    ];
    return { step: kind, code: exitCodes.ok, said, config: this.#config(state.signing) };
  }

  #notConfigured({ kind, old, missing }: Step<"not-configured">): Report {
    const said = ["Nothing was retired: the configuration does not sign with the new keys yet."];
    if (old.length > 0) said.push(`It still signs with ${old.join(", ")}.`);
    if (missing.length > 0) said.push(`It does not sign with ${missing.join(", ")}.`);
    said.push(`Put these lines in place of the old ones and restart the server. Then call ${this.#command} again.`);
    return { step: kind, code: exitCodes.data, said, config: this.#config(this.#state.signing) };
  }

  #keep({ kind, until, selectors }: Step<"keep">): Report {
    const day = new Date(until).toISOString().slice(0, 16).replace("T", " ");
    const said = [
      `The records of ${selectors.join(", ")} stay until ${day} UTC: mail that is under way was signed with them.`,
      `After that, call ${this.#command} again.`,
    ];
    return { step: kind, code: exitCodes.ok, said };
  }

  #takeBack({ kind, selectors }: Step<"take-back">): Report {
    const records = this.#files(selectors).map(({ key }) => zoneText(key.recordName, revokedRecordText(key)));
    const said = [
      `Nothing needs the records of ${selectors.join(", ")} any more.`,
      `Put these in their place, which takes the keys back (RFC 6376 3.6.1), or remove them. Then call ${this.#command} again.`,
    ];
    return { step: kind, code: exitCodes.data, said, records: records.join("") };
  }

  #retired({ kind, selectors, state }: Step<"retired">): Report {
    this.#folder.writeRotation(state);
    const paths = selectors.map((selector) => this.#folder.keyPath(selector)).join(", ");
    const said = [`Done: ${selectors.join(", ")} are retired. Nothing needs ${paths} any more; you may remove what is there.`];
    return { step: kind, code: exitCodes.ok, said };
  }

  #files(selectors: readonly string[]): KeyFile[] {
    return selectors.map((selector) => this.#folder.load(selector));
  }

  #config(selectors: readonly string[]): string {
    return this.#files(selectors)
      .map((file) => configLines(file, this.#options))
      .join("\n");
  }

  #why(selectors: readonly string[]): string[] {
    return this.#compared.flatMap(({ file, comparison }) =>
      selectors.includes(file.key.selector) && comparison.kind !== "published" ? [`${shown(comparison.why)}.`] : [],
    );
  }
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
