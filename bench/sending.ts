/**
 * Clients against smtp-sink: one process each, a pool of 16 connections.
 *
 * Rules
 * 1. The sink is the same program for all, started anew for each run; it takes more than any of them sends.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "./child.ts";
import { type Figure, inFolder, type Run, type Setting } from "./measure.ts";
import { startSink } from "./tools.ts";

const LIMIT = 120_000;

/** Those of P4 (composed) or P5 (raw): ours first. */
export function clients(benchmark: "P4" | "P5"): Run[] {
  const version = (name: string): string => {
    const file = name === "" ? fileURLToPath(new URL("../package.json", import.meta.url)) : createRequire(import.meta.url).resolve(name);
    return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
  };
  return [
    { name: "Postrider", version: version(""), share: 1, measure: (setting) => sending("postrider", benchmark, setting, 1) },
    {
      name: "Nodemailer",
      version: version("nodemailer/package.json"),
      share: 0.5,
      measure: (setting) => sending("nodemailer", benchmark, setting, 0.5),
    },
  ];
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
