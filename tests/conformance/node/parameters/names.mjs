// Prints each call of calls.ts with its parameters' names, those of objects inside with a point, as JSON.
import ts from "typescript";
import { membersOf, readInterface } from "./types.mjs";

const { checker, declared, properties } = readInterface("calls.ts", "Calls");

function namesOf(type, depth) {
  const names = new Set();
  for (const member of membersOf(type)) {
    const isRecord = member.flags & ts.TypeFlags.Object && !checker.isArrayLikeType(member);
    for (const property of isRecord || member.isIntersection() ? checker.getPropertiesOfType(member) : []) {
      const name = property.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      names.add(name);
      if (depth) {
        const inner = checker.getTypeOfSymbolAtLocation(property, declared);
        namesOf(inner, depth - 1).forEach((each) => names.add(`${name}.${each}`));
      }
    }
  }
  return names;
}

const found = properties.map(([call, type]) => [call, [...namesOf(type, 1)].sort()]);
console.log(JSON.stringify(Object.fromEntries(found)));
