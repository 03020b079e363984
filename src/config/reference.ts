/** The reference of every key, as Markdown, from the schema itself. */
import type { z } from "zod";
import { expectedOf } from "./parse.ts";
import { general, lists, tables } from "./schema.ts";

export function configReference(): string {
  const parts = [
    "# Configuration",
    "",
    "<!-- Made from src/config/schema.ts by `node scripts/config-reference.ts`: change it there. -->",
    "",
    "`postrider serve --config postrider.toml` reads one TOML file; `postrider config check --config postrider.toml` only checks it.",
    "Unknown keys and bad values are all reported at once. Paths are relative to the file.",
    "",
    ...section("General", general),
    ...Object.entries(tables).flatMap(([name, schema]) => section(`[${name}]`, schema)),
    ...Object.entries(lists).flatMap(([name, schema]) => section(`[[${name}]]`, schema)),
  ];
  return `${parts.join("\n").trimEnd()}\n`;
}

function section(title: string, schema: z.ZodObject): string[] {
  const rows = Object.entries(schema.shape).map(([key, field]) => {
    const type = field as z.ZodType;
    return `| \`${key}\` | ${cell(type.description ?? "")} | ${cell(expectedOf(type))} | ${defaultOf(type)} |`;
  });
  return [`## ${title}`, "", schema.description ?? "", "", "| key | what it is | value | default |", "|---|---|---|---|", ...rows, ""];
}

function defaultOf(schema: z.ZodType): string {
  const { def } = schema as z.ZodType & { def: { type: string; defaultValue?: unknown } };
  if (def.type === "optional") return "";
  if (def.type !== "prefault") return "required";
  const value = def.defaultValue;
  return `\`${Array.isArray(value) ? `[${value.map((one) => JSON.stringify(one)).join(", ")}]` : JSON.stringify(value)}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
