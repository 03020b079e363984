/**
 * Whom the operator's commands speak to: the running server, or the store itself.
 *
 * Rules
 * 1. The lock of the data folder tells: where a server holds it, its control socket answers.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { connectControl } from "../admin/control-client.ts";
import type { Administration } from "../admin/methods.ts";
import type { StoresOptions } from "../relay/stores.ts";
import { makeDataFolder, needDataFolder } from "./data-folder.ts";
import { isTryOut, TRY_OUT_DATA } from "./try-out.ts";

export interface FolderOptions {
  readonly config?: string;
  readonly data?: string;
}

/** Runs `work` with whoever answers for the folder. `make`: the folder is made if missing. */
export async function withAdministration<T>(options: FolderOptions, work: (admin: Administration) => Promise<T>, make = false): Promise<T> {
  const stores = await storesOf(options);
  const { folder } = stores;
  if (make || stores.postgres !== undefined) makeDataFolder(folder);
  else needDataFolder(folder);
  const admin = (await connectControl(folder)) ?? (await openHere(stores));
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

/** `--data`, else the configuration's; where neither is named nor there, that of a try-out in the current folder. */
async function storesOf({ config, data }: FolderOptions): Promise<StoresOptions> {
  if (data !== undefined) return { folder: resolve(data) };
  const [{ configPath, loadConfig }, { storesOptions }] = await Promise.all([import("./load-config.ts"), import("./stores-options.ts")]);
  if (config === undefined && !existsSync(configPath(undefined)) && isTryOut(TRY_OUT_DATA)) return { folder: resolve(TRY_OUT_DATA) };
  const loaded = loadConfig(config);
  return storesOptions(loaded.config, loaded.files);
}

async function openHere(options: StoresOptions): Promise<Administration> {
  const [{ administration }, { openStores }] = await Promise.all([import("../admin/operations.ts"), import("../relay/stores.ts")]);
  return administration(await openStores({ ...options, minimumFree: 0 }));
}
