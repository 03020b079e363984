/** What several commands have in common: options, and the values of options. */
import { InvalidArgumentError, Option } from "commander";

/** What a command resolves with is its exit code. */
export type Run = (code: number) => void;

export const configOption = (): Option =>
  new Option("-c, --config <file>", "configuration file (default: $POSTRIDER_CONFIG, else ./postrider.toml)");

export const dataOption = (): Option =>
  new Option(
    "-d, --data <folder>",
    "data folder, instead of the configuration's (without either: ./postrider-data, if a try-out lives there)",
  );

export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

export function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return Number(text);
}

export function count(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 10_000)
    throw new InvalidArgumentError("A number from 1 to 10000 is needed.");
  return Number(text);
}
