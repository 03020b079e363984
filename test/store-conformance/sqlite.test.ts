import { storeConformance } from "./conformance.ts";
import { embeddedStore } from "./embedded.ts";

const opener = new URL("./sqlite.ts", import.meta.url);
await storeConformance("SQLite", opener);
await embeddedStore("SQLite", opener);
