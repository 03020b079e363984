/** Writes docs/config.md from the schema; a test holds the two together. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { configReference } from "../src/config/reference.ts";

export const referencePath = fileURLToPath(new URL("../docs/config.md", import.meta.url));

if (import.meta.main) writeFileSync(referencePath, configReference());
