/** The MIME structure of a message, for tests. */
import { fieldText, readHeaderSection } from "../message/header-section.ts";
import { fromLatin1, latin1 } from "../util/bytes.ts";

/** Such as `multipart/mixed(text/plain, image/png)`: types alone, without their parameters. */
export function structureOf(content: Uint8Array): string {
  const { section, body } = readHeaderSection(content);
  const field = section.find("content-type");
  const value = field === undefined ? "text/plain" : fieldText(field);
  const type = (value.split(";")[0] as string).trim().toLowerCase();
  if (!type.startsWith("multipart/")) return type;
  const [, quoted, token] = /boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(value) ?? [];
  const delimiter = `--${quoted ?? token}`;
  const [, ...parts] = `\r\n${fromLatin1(body)}`.replaceAll(/\r?\n/g, "\r\n").split(`\r\n${delimiter}`);
  return `${type}(${parts
    .filter((part) => !part.startsWith("--"))
    .map((part) => structureOf(latin1(part.replace(/^[ \t]*\r\n/, ""))))
    .join(", ")})`;
}
