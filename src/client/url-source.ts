/**
 * Contents from the web.
 *
 * Rules
 * 1. An address is fetched only because the program named it by this function: no field of a message is ever taken for a URL. Whoever lets strangers choose
 *    the address lets them reach what this machine reaches (SSRF).
 * 2. Fetched when the message is sent, anew for each attempt; anything but a success fails the attempt before the message is complete.
 */
import type { ReplayableSource } from "../message/draft.ts";

export interface FetchOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Octets; more fails the attempt. 100 MB where absent. */
  readonly limit?: number;
  /** Milliseconds for all of it; 60 s where absent. */
  readonly timeout?: number;
}

export const FETCH_LIMIT = 100 * 1024 * 1024;
const FETCH_TIMEOUT = 60_000;

/** What an http or https URL answers with. Throws a TypeError for another URL. */
export function fromUrl(address: string | URL, options: FetchOptions = {}): ReplayableSource {
  const url = new URL(address);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new TypeError(`not an http or https URL: ${url.protocol}`);
  return { open: () => fetched(url, options) };
}

async function* fetched(
  url: URL,
  { headers = {}, limit = FETCH_LIMIT, timeout = FETCH_TIMEOUT }: FetchOptions,
): AsyncGenerator<Uint8Array, void> {
  const response = await fetch(url, { headers: { ...headers }, signal: AbortSignal.timeout(timeout) });
  if (!response.ok || response.body === null) throw new Error(`${url.origin} answered ${response.status} ${response.statusText}`);
  let octets = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    octets += chunk.length;
    if (octets > limit) throw new Error(`${url.origin} sends more than ${limit} octets`);
    yield chunk;
  }
}
