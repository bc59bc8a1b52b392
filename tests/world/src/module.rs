//! What the published host leaves short, made good in the module before it is compiled: the one named place for it.
//!
//! `proxy-wasm-host` owns its linker and its callbacks, so some things cannot be had from outside: randomness from a
//! seed, Envoy's order at a stream's end (log, then done), and the status that Envoy gives in a few corners. Each is a
//! function appended to the module, to which the calls of an import or an export go instead. See [`crate::GAPS`] for all
//! that is known, and for what is left as it is.

use std::collections::BTreeMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{BlockType, CodeSection, ExportSection, Function, FunctionSection, MemArg, Module, ValType};
use wasmparser::{CodeSectionReader, Export, ExternalKind, FunctionSectionReader, Parser, Payload, TypeRef};

/// Why a module could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// It is no core wasm module.
    #[error("not a wasm module: {0}")]
    Parse(#[from] wasmparser::Error),
    /// It draws from the system, and has not what it takes to draw from a seed.
    #[error("the module imports random_get without clock_time_get and proxy_log: it cannot be seeded")]
    Random,
    /// It cannot be written again.
    #[error("the module cannot be rewritten: {0}")]
    Reencode(#[from] reencode::Error<Infallible>),
}

/// The functions of a module that matter here, by index.
#[derive(Default)]
struct Survey {
    functions: u32,
    types: Vec<u32>,
    /// Imports by name.
    imports: BTreeMap<String, u32>,
    /// Exports by name.
    exports: BTreeMap<String, u32>,
}

impl Survey {
    fn read(bytes: &[u8]) -> Result<Self, ModuleError> {
        let mut seen = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        if let TypeRef::Func(kind) = import.ty {
                            seen.imports.insert(import.name.to_owned(), seen.functions);
                            seen.add(kind);
                        }
                    }
                }
                Payload::FunctionSection(functions) => {
                    for kind in functions {
                        seen.add(kind?);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            seen.exports.insert(export.name.to_owned(), export.index);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(seen)
    }

    fn add(&mut self, kind: u32) {
        self.functions += 1;
        self.types.push(kind);
    }

    fn kind(&self, function: u32) -> u32 {
        usize::try_from(function).ok().and_then(|at| self.types.get(at)).copied().unwrap_or_default()
    }

    fn import(&self, name: &str) -> Option<u32> {
        self.imports.get(name).copied()
    }
}

/// The module with what is made good appended, each where it has what that needs.
pub(crate) fn adapt(bytes: &[u8]) -> Result<Vec<u8>, ModuleError> {
    let survey = Survey::read(bytes)?;
    let mut adapter = Adapter::default();
    let mut next = survey.functions;
    let mut add = |like: u32, body: Function| {
        adapter.added.push((survey.kind(like), body));
        next += 1;
        next - 1
    };
    let mut instead = BTreeMap::new();
    for (name, shim) in SHIMS {
        if let Some(import) = survey.import(name) {
            instead.insert(import, add(import, shim(import)));
        }
    }
    let log = survey.import("proxy_log");
    if let Some(random) = survey.import("random_get") {
        let (Some(clock), Some(log)) = (survey.import("clock_time_get"), log) else { return Err(ModuleError::Random) };
        instead.insert(random, add(random, drawing(clock, log)));
    }
    let export = |name| survey.exports.get(name).copied();
    if let (Some(on_log), Some(on_done), Some(log)) = (export("proxy_on_log"), export("proxy_on_done"), log) {
        adapter.done = Some(add(on_done, log_then_done(on_log, on_done, log)));
    }
    adapter.instead = instead;
    let mut module = Module::new();
    adapter.parse_core_module(&mut module, Parser::new(0), bytes)?;
    Ok(module.finish())
}

#[derive(Default)]
struct Adapter {
    /// To which function the calls of an import go instead.
    instead: BTreeMap<u32, u32>,
    /// What `proxy_on_done` is now.
    done: Option<u32>,
    added: Vec<(u32, Function)>,
}

impl Reencode for Adapter {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error> {
        Ok(self.instead.get(&function).copied().unwrap_or(function))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_function_section(self, functions, section)?;
        for (kind, _) in &self.added {
            functions.function(*kind);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_code_section(self, code, section)?;
        for (_, body) in &self.added {
            code.function(body);
        }
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: Export<'_>) -> Result<(), reencode::Error> {
        match (export.name, self.done) {
            ("proxy_on_done", Some(done)) => {
                exports.export(export.name, wasm_encoder::ExportKind::Func, done);
                Ok(())
            }
            ("proxy_on_log", Some(_)) => Ok(()),
            _ => utils::parse_export(self, exports, export),
        }
    }
}

/// Makes the function that stands before an import, given its index.
type Shim = fn(u32) -> Function;

/// The imports whose status is another in Envoy, and what stands before each.
const SHIMS: [(&str, Shim); 5] = [
    ("proxy_get_header_map_pairs", absent_map_is_empty),
    ("proxy_get_buffer_bytes", beyond_the_end_is_nothing),
    ("proxy_set_buffer_bytes", refused_write_is_a_bad_argument),
    ("proxy_set_header_map_pairs", malformed_pairs_are_none),
    ("proxy_send_local_response", malformed_headers_are_none),
];

/// Status 1 and 2 of the ABI.
const NOT_FOUND: i32 = 1;
const BAD_ARGUMENT: i32 = 2;
/// Bytes at the address on the stack.
const WORD: MemArg = MemArg { offset: 0, align: 0, memory_index: 0 };

/// A function that makes the call with its own `parameters`, then has the status in the local behind them.
fn calling(import: u32, parameters: u32) -> Function {
    let mut body = Function::new([(1, ValType::I32)]);
    let mut code = body.instructions();
    for parameter in 0..parameters {
        code.local_get(parameter);
    }
    code.call(import).local_set(parameters);
    body
}

/// Where the status is `refusal` and the first argument is a known kind: no bytes are handed out, and all is well.
fn empty_instead(mut body: Function, status: u32, kinds: i32, pointers: [u32; 2]) -> Function {
    let mut code = body.instructions();
    code.local_get(status).i32_const(BAD_ARGUMENT).i32_eq().local_get(0).i32_const(kinds).i32_lt_u().i32_and();
    code.if_(BlockType::Empty);
    for pointer in pointers {
        code.local_get(pointer).i32_const(0).i32_store(WORD);
    }
    code.i32_const(0).return_().end().local_get(status).end();
    body
}

/// `proxy_get_header_map_pairs(map, *data, *size)`.
fn absent_map_is_empty(import: u32) -> Function {
    empty_instead(calling(import, 3), 3, 8, [1, 2])
}

/// `proxy_get_buffer_bytes(buffer, start, max, *data, *size)`.
fn beyond_the_end_is_nothing(import: u32) -> Function {
    empty_instead(calling(import, 5), 5, 9, [3, 4])
}

/// `proxy_set_buffer_bytes(buffer, start, size, value, length)`: the bodies and the VM's configuration.
fn refused_write_is_a_bad_argument(import: u32) -> Function {
    let mut body = calling(import, 5);
    let mut code = body.instructions();
    code.local_get(5).i32_const(NOT_FOUND).i32_eq();
    code.local_get(0).i32_const(4).i32_lt_u().local_get(0).i32_const(6).i32_eq().i32_or().i32_and();
    code.if_(BlockType::Empty).i32_const(BAD_ARGUMENT).return_().end().local_get(5).end();
    body
}

/// `proxy_set_header_map_pairs(map, pairs, size)`: what cannot be read is read as no pair.
fn malformed_pairs_are_none(import: u32) -> Function {
    let mut body = calling(import, 3);
    let mut code = body.instructions();
    code.local_get(3).i32_const(BAD_ARGUMENT).i32_eq().if_(BlockType::Empty);
    code.local_get(0).i32_const(0).i32_const(0).call(import).return_().end().local_get(3).end();
    body
}

/// `proxy_send_local_response(status, details, size, body, size, headers, size, grpc)`: likewise.
fn malformed_headers_are_none(import: u32) -> Function {
    let mut body = calling(import, 8);
    let mut code = body.instructions();
    code.local_get(8).i32_const(BAD_ARGUMENT).i32_eq().if_(BlockType::Empty);
    for parameter in 0..5 {
        code.local_get(parameter);
    }
    code.i32_const(0).i32_const(0).local_get(7).call(import).return_().end().local_get(8).end();
    body
}

/// Bytes that may be drawn at once, and the errno for more.
const DRAWN_MAX: i32 = 1 << 16;
const INVALID: i32 = 28;

/// `random_get(buffer, length) -> errno` from the host's clock: an empty trace line arms it, and the next reading of the
/// wall clock is then a drawn word (see [`crate::clock`]).
fn drawing(clock: u32, log: u32) -> Function {
    const BUFFER: u32 = 0;
    const LENGTH: u32 = 1;
    const OLD: u32 = 2;
    const MASK: u32 = 3;
    let mut body = Function::new([(2, ValType::I64)]);
    let mut code = body.instructions();
    code.local_get(LENGTH).i32_const(DRAWN_MAX).i32_gt_u().if_(BlockType::Empty).i32_const(INVALID).return_().end();
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(LENGTH).i32_eqz().br_if(1);
    // The bytes behind the buffer that the last, short word would overwrite.
    code.local_get(BUFFER).i64_load(WORD).local_set(OLD);
    code.i32_const(0).i32_const(0).i32_const(0).call(log).drop();
    code.i32_const(0).i64_const(0).local_get(BUFFER).call(clock).drop();
    code.local_get(LENGTH).i32_const(8).i32_lt_u().if_(BlockType::Empty);
    code.i64_const(1).local_get(LENGTH).i64_extend_i32_u().i64_const(3).i64_shl().i64_shl();
    code.i64_const(1).i64_sub().local_set(MASK);
    code.local_get(BUFFER);
    code.local_get(BUFFER).i64_load(WORD).local_get(MASK).i64_and();
    code.local_get(OLD).local_get(MASK).i64_const(-1).i64_xor().i64_and().i64_or();
    code.i64_store(WORD);
    code.br(2).end();
    code.local_get(BUFFER).i32_const(8).i32_add().local_set(BUFFER);
    code.local_get(LENGTH).i32_const(8).i32_sub().local_set(LENGTH);
    code.br(0).end().end();
    code.i32_const(0).end();
    body
}

/// `proxy_on_done` as Envoy calls it: the log first, then an empty debug line, which tells the host that it is over. What
/// the filter says to it changes nothing: a stream is deleted all the same.
fn log_then_done(on_log: u32, on_done: u32, log: u32) -> Function {
    let mut body = Function::new([]);
    let mut code = body.instructions();
    code.local_get(0).call(on_log);
    code.i32_const(1).i32_const(0).i32_const(0).call(log).drop();
    code.local_get(0).call(on_done).drop().i32_const(1).end();
    body
}
