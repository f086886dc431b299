import { InvalidEnvironmentError } from "../errors/index.ts";

/** Whether a name can be an environment variable in every shell: letters, digits and underscores, no leading digit. */
export function isEnvironmentName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** The name is not quoted: what is wrong as a name may be a secret that lost its key. */
export function invalidEnvironmentName(where: string, context: Readonly<Record<string, number>>) {
  return new InvalidEnvironmentError(`The name of ${where} is not a valid name of an environment variable.`, {
    nextStep: "Use letters, digits and underscores only, and do not begin with a digit.",
    context,
  });
}
