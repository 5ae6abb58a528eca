// Interfaces of calls.ts and settings.ts, read by TypeScript's own compiler.
import path from "node:path";
import ts from "typescript";

const FOLDER = import.meta.dirname;

// file: beside this one. Returns an interface's properties with their types, and the checker.
export function readInterface(file, name) {
  const root = path.join(FOLDER, file);
  const options = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ESNext,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
  };
  const program = ts.createProgram([root], options);
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(root);
  const wrong = program.getSemanticDiagnostics(source);
  if (wrong.length) {
    throw new Error(ts.formatDiagnostics(wrong, ts.createCompilerHost(options)));
  }
  const declared = source.statements.find((each) => ts.isInterfaceDeclaration(each) && each.name.text === name);
  const properties = checker.getPropertiesOfType(checker.getTypeAtLocation(declared));
  const found = properties.map((each) => [each.name, checker.getTypeOfSymbolAtLocation(each, declared)]);
  return { checker, declared, properties: found };
}

export function membersOf(type) {
  return type.isUnion() ? type.types : [type];
}
