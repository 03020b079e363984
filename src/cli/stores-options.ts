/**
 * Where the configuration has queue and accounts kept, as `openStores` takes it.
 *
 * Rules
 * 1. A database's URL may hold its password: what is shown of it is where it is, never more.
 */
import type { Config, NamedFiles } from "../config/index.ts";
import type { SharedStoreOptions, StoresOptions } from "../relay/stores.ts";

export function storesOptions(
  { data, hostname, queue }: Pick<Config, "data" | "hostname" | "queue">,
  { storePassword }: NamedFiles,
): StoresOptions {
  const { minimumFree, shared } = queue;
  if (shared === undefined) return { folder: data, minimumFree };
  const { url, schema, connections, lease } = shared;
  const postgres = { url: withPassword(url, storePassword), schema, connections, lease, node: hostname };
  return { folder: data, postgres };
}

/** `postgres://host/database`, for logs. */
export function shownStore(options: StoresOptions): string {
  return options.postgres === undefined ? options.folder : shownDatabase(options.postgres);
}

export function shownDatabase({ url }: Pick<SharedStoreOptions, "url">): string {
  const { host, pathname, searchParams } = new URL(url.replace(/\/\/[^/]*@\//, "///"));
  return `postgres://${host || searchParams.get("host") || ""}${pathname}`;
}

/** In the query: a URL of a unix socket has no room for it elsewhere. */
function withPassword(url: string, password: string | undefined): string {
  if (password === undefined) return url;
  return `${url}${url.includes("?") ? "&" : "?"}password=${encodeURIComponent(password)}`;
}
