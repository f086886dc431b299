export interface FileProblem {
  readonly path: readonly string[];
  /** End of a sentence that begins with the path. */
  readonly message: string;
}

/** Finds references of services to what the file does not define. The file must satisfy the schema. */
export function findReferenceProblems(file: unknown): readonly FileProblem[] {
  const services = entriesOf(fieldOf(file, "services"));
  return services.flatMap(([name, service]) => {
    const path = ["services", name];
    const refer = (setting: string, section: string, what: string) =>
      namesOf(fieldOf(service, setting))
        .filter((target) => fieldOf(fieldOf(file, section), target) === undefined)
        .map((target) => ({ path: [...path, setting], message: `names the ${what} ${target}, which is not defined` }));
    return [...refer("depends_on", "services", "service")];
  });
}

function namesOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.filter((item) => typeof item === "string");
  return entriesOf(value).map(([name]) => name);
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name] // hasOwn was checked
    : undefined;
}
