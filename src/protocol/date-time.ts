/**
 * RFC 3339 date-times, as HOLDUNTIL and FUTURERELEASE have them.
 *
 * Rules
 * 1. Read strictly: a zone must be there, and a day that no calendar has is none.
 * 2. Written in UTC and whole seconds, which every reader of RFC 4865 takes.
 */
const pattern = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** Milliseconds since 1970; `undefined` where it is no date-time. */
export function parseDateTime(text: string): number | undefined {
  const [, year, month, day, hour, minute, second, fraction = "", sign, zoneHour = "0", zoneMinute = "0"] = pattern.exec(text) ?? [];
  if (year === undefined) return undefined;
  const given = [year, month, day, hour, minute, second].map(Number) as [number, number, number, number, number, number];
  const [y, mo, d, h, mi, s] = given;
  // RFC 3339 5.7: 60 is a leap second; it counts as the one after it.
  if (h > 23 || mi > 59 || s > 60 || Number(zoneHour) > 23 || Number(zoneMinute) > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(y, mo - 1, d);
  if (date.getUTCMonth() !== mo - 1 || date.getUTCDate() !== d) return undefined;
  const zone = (Number(zoneHour) * 60 + Number(zoneMinute)) * (sign === "-" ? -60_000 : 60_000);
  return date.getTime() + ((h * 60 + mi) * 60 + s) * 1000 + Number(fraction.padEnd(3, "0").slice(0, 3)) - zone;
}

/** `2026-11-28T11:00:00Z`; a part of a second is left out. */
export function formatDateTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
