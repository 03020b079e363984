/** Sizes and rates as a person writes them. */
import { days } from "../util/clock.ts";
import { parseDuration } from "../util/duration.ts";

const sizes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** A number of octets, or a text such as `50MB` (thousands) or `50MiB` (1024s). */
export function parseSize(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  if (typeof value !== "string") return undefined;
  const [, count, unit] = /^(\d{1,15}(?:\.\d{1,3})?) ?(B|KB|MB|GB|KiB|MiB|GiB)$/.exec(value) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  const octets = Math.round(Number(count) * (sizes[unit] as number));
  return Number.isSafeInteger(octets) ? octets : undefined;
}

/** So many in each so many milliseconds: `100/m`, `10/s`, `500/15m`. */
export function parseRate(text: string): { readonly messages: number; readonly per: number } | undefined {
  const [, count, span] = /^([1-9]\d{0,8})\/(\d*[smhd])$/.exec(text) ?? [];
  if (count === undefined || span === undefined) return undefined;
  const per = parseDuration(/^\d/.test(span) ? span : `1${span}`);
  return per === undefined || per < 1000 || per > days(1) ? undefined : { messages: Number(count), per };
}
