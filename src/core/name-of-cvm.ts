/** A CVM's name with its id: replicas and instances of an app may share the name. */
export function nameOfCvm({ name, id }: { readonly name: string; readonly id: string }): string {
  return `${name} (${id})`;
}
