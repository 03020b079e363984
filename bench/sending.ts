/**
 * Clients against smtp-sink: one process each, a pool of 16 connections.
 *
 * Rules
 * 1. The sink is the same program for all, started anew for each run; it takes more than any of them sends.
 */
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "./child.ts";
import { type Figure, inFolder, type Run, type Setting } from "./measure.ts";
import { startSink } from "./tools.ts";

const LIMIT = 120_000;

/** Those of P4 (composed) or P5 (raw): ours first. */
export function clients(benchmark: "P4" | "P5"): Run[] {
  return [
    { name: "Postrider", version: versionOf("postrider"), share: 1, measure: (setting) => sending("postrider", benchmark, setting, 1) },
    {
      name: "Nodemailer",
      version: versionOf("nodemailer"),
      share: 0.5,
      measure: (setting) => sending("nodemailer", benchmark, setting, 0.5),
    },
  ];
}

/** One attachment of 1 GB out of a file: what it costs is in the column of memory. */
export function attachments(): Run[] {
  const names = { postrider: "Postrider", nodemailer: "Nodemailer" } as const;
  return (["postrider", "nodemailer"] as const).map((client) => ({
    name: names[client],
    version: versionOf(client),
    share: 0,
    measure: (setting) =>
      inFolder(setting, async (folder) => {
        const sink = await startSink(setting.files, folder);
        const log = join(folder, "client.log");
        const file = join(folder, "attachment.bin");
        try {
          truncateSync(openedFor(file), GIGABYTE);
          const program = fileURLToPath(new URL("clients/attachment.ts", import.meta.url));
          await new Child({ file: process.execPath, args: [program, client, `${sink.port}`, file], log }).ended(LIMIT);
          return JSON.parse(readFileSync(log, "utf8").trim().split("\n").at(-1) ?? "") as Figure;
        } finally {
          await sink.stop();
        }
      }),
  }));
}

const GIGABYTE = 2 ** 30;

/** The file, made empty: it is all zeros, and takes no room on the disk. */
function openedFor(file: string): string {
  writeFileSync(file, "");
  return file;
}

function versionOf(client: "postrider" | "nodemailer"): string {
  const file =
    client === "postrider"
      ? fileURLToPath(new URL("../package.json", import.meta.url))
      : createRequire(import.meta.url).resolve("nodemailer/package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

function sending(program: string, benchmark: string, setting: Setting, share: number): Promise<Figure> {
  return inFolder(setting, async (folder) => {
    const sink = await startSink(setting.files, folder);
    const log = join(folder, "client.log");
    try {
      const file = fileURLToPath(new URL(`clients/${program}.ts`, import.meta.url));
      const args = [file, benchmark, `${sink.port}`, `${Math.ceil(setting.count * share)}`];
      await new Child({ file: process.execPath, args, log }).ended(LIMIT);
      return JSON.parse(readFileSync(log, "utf8").trim().split("\n").at(-1) ?? "") as Figure;
    } finally {
      await sink.stop();
    }
  });
}
