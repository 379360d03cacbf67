"use strict";
// Parses and binds KQL with Microsoft's own parser, as the portal's editor does. Standard input: {"tables": {table: {column: type}},
// "queries": {name: text}}. Standard output: {name: {"errors": [...], "columns": {column: type}}}.
// Usage: node bind_kql.js NODE_MODULES

const folder = require("path").join(process.argv[2], "@kusto", "language-service-next");
require(`${folder}/bridge.js`);
require(`${folder}/Kusto.Language.Bridge.js`);

const { GlobalState, KustoCode, Symbols } = Kusto.Language;

function list(sequence) {
  return Array.from({ length: sequence.Count }, (_, index) => sequence.getItem(index));
}

function workspace(tables) {
  const symbols = Object.entries(tables).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `${column}: ${type}`);
    return new Symbols.TableSymbol.$ctor7(name, `(${schema.join(", ")})`, null);
  });
  return new Symbols.DatabaseSymbol.$ctor3("workspace", null, symbols, false);
}

function bound(text, globals) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const errors = list(code.GetDiagnostics()).map(({ Code, Message, Start, Length }) => `${Code} at '${text.substr(Start, Length)}': ${Message}`);
  const columns = code.ResultType && code.ResultType.Columns ? list(code.ResultType.Columns) : [];
  return { errors, columns: Object.fromEntries(columns.map((column) => [column.Name, column.Type.Name])) };
}

const { tables, queries } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const globals = GlobalState.Default.WithDatabase(workspace(tables));
console.log(JSON.stringify(Object.fromEntries(Object.entries(queries).map(([name, text]) => [name, bound(text, globals)]))));
