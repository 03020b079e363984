/**
 * Whom the operator's commands speak to: the running server, or the store itself.
 *
 * Rules
 * 1. The lock of the data folder tells: where a server holds it, its control socket answers.
 */
import { resolve } from "node:path";
import { connectControl } from "../admin/control-client.ts";
import type { Administration } from "../admin/methods.ts";
import { makeDataFolder, needDataFolder } from "./data-folder.ts";

export interface FolderOptions {
  readonly config?: string;
  readonly data?: string;
}

/** Runs `work` with whoever answers for the folder. `make`: the folder is made if missing. */
export async function withAdministration<T>(options: FolderOptions, work: (admin: Administration) => Promise<T>, make = false): Promise<T> {
  const folder =
    options.data === undefined ? (await import("./load-config.ts")).loadConfig(options.config).config.data : resolve(options.data);
  if (make) makeDataFolder(folder);
  else needDataFolder(folder);
  const admin = (await connectControl(folder)) ?? (await openHere(folder));
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

async function openHere(folder: string): Promise<Administration> {
  const [{ administration }, { openStores }] = await Promise.all([import("../admin/operations.ts"), import("../relay/stores.ts")]);
  return administration(await openStores({ folder, minimumFree: 0 }));
}
