/**
 * How new DKIM keys take the place of old ones: publish -> verified in DNS -> switch -> retire. Pure: a state, what is known, the next state.
 *
 *   idle ──begin──▶ published? ──all in DNS──▶ verified ──all in DNS, asked again──▶ retiring ──old records gone──▶ idle
 *
 * Rules
 * 1. One step a call, and only a step that is possible; what is in the way is told.
 * 2. Nothing is switched to a key that DNS, asked at the switch, does not have: not for an older answer, not where DNS is silent. What was
 *    verified and is gone again is not verified any more.
 * 3. Old records stay for KEEP after the switch: mail that was signed before it is verified when it arrives, and it may be queued for days.
 * 4. Nothing is retired while the configuration still signs with it.
 */
import { days } from "../util/clock.ts";

/** Milliseconds that old records stay published: longer than a message waits anywhere. */
export const KEEP = days(7);

/** Selectors that are to take the place of `signing`. */
export interface NextKeys {
  readonly selectors: readonly string[];
  /** Milliseconds since 1970 UTC, as all times here. */
  readonly made: number;
  /** When DNS had all of them. */
  readonly verified?: number;
}

export interface RetiringKeys {
  readonly selectors: readonly string[];
  readonly since: number;
}

export interface Rotation {
  /** Selectors that sign, or shall at once: the first keys of a domain. */
  readonly signing: readonly string[];
  readonly next?: NextKeys;
  /** Sign no more; their records stay for a while. */
  readonly retiring?: RetiringKeys;
  /** Whose records are gone: their files serve nothing any more. */
  readonly retired: readonly string[];
}

export const NO_ROTATION: Rotation = { signing: [], retired: [] };

/** What DNS says about one key: `published` alone is good enough. */
export type InDns = "published" | "revoked" | "absent" | "different" | "unknown";

export interface Known {
  readonly now: number;
  /** By selector; what is not there was not asked for. */
  readonly dns: ReadonlyMap<string, InDns>;
  /** Selectors that the configuration signs with for this domain; `undefined` where there is none to be read. */
  readonly configured: readonly string[] | undefined;
  /** Milliseconds; `KEEP` where absent. */
  readonly keep?: number;
}

export type RotationStep =
  /** There is no key at all. */
  | { readonly kind: "no-keys" }
  /** Keys are to be made, and then handed to `begin`. */
  | { readonly kind: "make" }
  /** DNS did not answer: nothing changes. */
  | { readonly kind: "unknown"; readonly selectors: readonly string[] }
  /** The records are not there yet, or are others. `state`: what was verified is not any more. */
  | { readonly kind: "not-published"; readonly selectors: readonly string[]; readonly state: Rotation }
  | { readonly kind: "verified"; readonly state: Rotation }
  | { readonly kind: "switched"; readonly state: Rotation }
  /** The configuration does not sign as `signing` says: nothing can be retired. */
  | { readonly kind: "not-configured"; readonly missing: readonly string[]; readonly old: readonly string[] }
  /** Old records must stay until then. */
  | { readonly kind: "keep"; readonly until: number; readonly selectors: readonly string[] }
  /** The old records may be taken away now. */
  | { readonly kind: "take-back"; readonly selectors: readonly string[] }
  | { readonly kind: "retired"; readonly selectors: readonly string[]; readonly state: Rotation };

/** Selectors whose records have to be asked for before `nextStep`. */
export function selectorsToAsk(state: Rotation): readonly string[] {
  return state.next?.selectors ?? state.retiring?.selectors ?? [];
}

/** What a call of `postrider dkim rotate` does. */
export function nextStep(state: Rotation, known: Known): RotationStep {
  if (state.next !== undefined) return towardsSwitch(state, state.next, known);
  if (state.retiring !== undefined) return towardsEnd(state, state.retiring, known);
  return state.signing.length === 0 ? { kind: "no-keys" } : { kind: "make" };
}

/** Keys that were made are to take the place of those that sign. */
export function begin(state: Rotation, selectors: readonly string[], now: number): Rotation {
  return { ...state, next: { selectors, made: now } };
}

/** Keys that sign from now on beside those that do. */
export function withSigning(state: Rotation, selectors: readonly string[]): Rotation {
  return { ...state, signing: [...state.signing, ...selectors] };
}

function towardsSwitch(state: Rotation, next: NextKeys, { dns, now }: Known): RotationStep {
  const { selectors, made } = next;
  const answer = (selector: string): InDns => dns.get(selector) ?? "unknown";
  const unknown = selectors.filter((selector) => answer(selector) === "unknown");
  if (unknown.length > 0) return { kind: "unknown", selectors: unknown };
  const absent = selectors.filter((selector) => answer(selector) !== "published");
  if (absent.length > 0) return { kind: "not-published", selectors: absent, state: { ...state, next: { selectors, made } } };
  if (next.verified === undefined) return { kind: "verified", state: { ...state, next: { ...next, verified: now } } };
  const { next: _done, ...rest } = state;
  const old = [...(state.retiring?.selectors ?? []), ...state.signing];
  return {
    kind: "switched",
    state: { ...rest, signing: selectors, ...(old.length === 0 ? {} : { retiring: { selectors: old, since: now } }) },
  };
}

function towardsEnd(state: Rotation, { selectors, since }: RetiringKeys, { dns, now, configured, keep = KEEP }: Known): RotationStep {
  if (configured !== undefined) {
    const old = selectors.filter((selector) => configured.includes(selector));
    const missing = state.signing.filter((selector) => !configured.includes(selector));
    if (old.length > 0 || missing.length > 0) return { kind: "not-configured", missing, old };
  }
  if (now < since + keep) return { kind: "keep", until: since + keep, selectors };
  const unknown = selectors.filter((selector) => (dns.get(selector) ?? "unknown") === "unknown");
  if (unknown.length > 0) return { kind: "unknown", selectors: unknown };
  // A record with another key is not ours to judge: the old key cannot be used by it.
  const there = selectors.filter((selector) => dns.get(selector) === "published");
  if (there.length > 0) return { kind: "take-back", selectors: there };
  const { retiring: _done, ...rest } = state;
  return { kind: "retired", selectors, state: { ...rest, retired: [...state.retired, ...selectors] } };
}

/** The text of `rotation.json`: times as people read them. */
export function rotationText({ signing, next, retiring, retired }: Rotation): string {
  const time = (at: number): string => new Date(at).toISOString();
  const value = {
    version: 1,
    signing,
    ...(next === undefined
      ? {}
      : {
          next: {
            selectors: next.selectors,
            made: time(next.made),
            ...(next.verified === undefined ? {} : { verified: time(next.verified) }),
          },
        }),
    ...(retiring === undefined ? {} : { retiring: { selectors: retiring.selectors, since: time(retiring.since) } }),
    retired,
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

export type ReadRotation = { readonly ok: true; readonly value: Rotation } | { readonly ok: false; readonly why: string };

class Refusal extends Error {}

/** Reads the text of `rotation.json`. */
export function parseRotation(text: string): ReadRotation {
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value)) throw new Refusal("it is no JSON object");
    if (value.version !== 1) throw new Refusal("it is of a version that is not known here");
    const next = value.next === undefined ? undefined : part(value.next, "next");
    const retiring = value.retiring === undefined ? undefined : part(value.retiring, "retiring");
    const verified = next?.verified === undefined ? {} : { verified: time(next.verified, "next.verified") };
    return {
      ok: true,
      value: {
        signing: selectors(value.signing, "signing"),
        ...(next && { next: { selectors: selectors(next.selectors, "next.selectors"), made: time(next.made, "next.made"), ...verified } }),
        ...(retiring && {
          retiring: { selectors: selectors(retiring.selectors, "retiring.selectors"), since: time(retiring.since, "retiring.since") },
        }),
        retired: selectors(value.retired, "retired"),
      },
    };
  } catch (error) {
    return { ok: false, why: error instanceof Refusal ? error.message : "it is no JSON" };
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function part(value: unknown, key: string): Record<string, unknown> {
  if (!isObject(value)) throw new Refusal(`"${key}" is no object`);
  return value;
}

function selectors(value: unknown, key: string): readonly string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value;
  throw new Refusal(`"${key}" is no list of selectors`);
}

function time(value: unknown, key: string): number {
  const at = typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(at)) throw new Refusal(`"${key}" is no time`);
  return at;
}
