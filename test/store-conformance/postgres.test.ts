import { storeConformance } from "./conformance.ts";
import { sharing } from "./sharing.ts";

await storeConformance("PostgreSQL", new URL("./postgres.ts", import.meta.url));
await sharing();
