import { storeConformance } from "./conformance.ts";

await storeConformance("SQLite", new URL("./sqlite.ts", import.meta.url));
