/** The whole server, to be given its settings. */

export type { RetryOptions } from "./judge.ts";
export { type LoginOptions, Relay, type RelayOptions } from "./relay.ts";
export { openStores, type Stores, type StoresOptions } from "./stores.ts";
