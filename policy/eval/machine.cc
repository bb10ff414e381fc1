#include "policy/eval/machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/eval/machine_state.h"

namespace coffer::policy {
namespace {

constexpr std::size_t kChunkValues = 8192;
constexpr std::uint64_t kCheckInterval = 1024;

}  // namespace

Machine::Machine(const Program& program, BuiltinContext& context)
    : program_(program), context_(context) {}
Machine::~Machine() = default;

Value* Machine::allocate(std::size_t count) {
  if (chunks_.empty() || chunks_[chunk_].used + count > chunks_[chunk_].size) {
    if (!chunks_.empty()) ++chunk_;
    if (chunk_ == chunks_.size() || chunks_[chunk_].size < count) {
      Chunk chunk;
      chunk.size = std::max(kChunkValues, count);
      chunk.values = std::make_unique<Value[]>(chunk.size);
      if (chunk_ == chunks_.size()) {
        chunks_.push_back(std::move(chunk));
      } else {
        chunks_[chunk_] = std::move(chunk);
      }
    }
  }
  Chunk& chunk = chunks_[chunk_];
  Value* frame = chunk.values.get() + chunk.used;
  chunk.used += count;
  return frame;
}

void Machine::release(Value* frame, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) frame[i] = Value();
  Chunk& chunk = chunks_[chunk_];
  chunk.used -= count;
  if (chunk.used == 0 && chunk_ > 0) --chunk_;
}

bool Machine::error(const Location& loc, std::string_view code, std::string message, Code kind) {
  error_ = Error(kind, fmt::format("{}: {}: {}", place(loc), code, message));
  return false;
}

bool Machine::limit(std::string message, Code kind) {
  error_ = Error(kind, "evaluate policy: " + std::move(message));
  return false;
}

bool Machine::step_check() {
  next_check_ = steps_ + kCheckInterval;
  const Limits& limits = options_.limits;
  if (steps_ > limits.max_steps) return limit(fmt::format("more than {} steps", limits.max_steps));
  const std::size_t memory = allocated_bytes();
  if (memory > memory_at_start_ && memory - memory_at_start_ > limits.max_memory)
    return limit(fmt::format("more than {} bytes of memory", limits.max_memory));
  if (std::chrono::steady_clock::now() > deadline_)
    return limit(fmt::format("took longer than {} ms", limits.max_time.count() / 1'000'000),
                 Code::kDeadlineExceeded);
  return true;
}

void Machine::start(const Value& data, const Value& input, const EvalOptions& options) {
  options_ = options;
  if (worlds_.empty()) worlds_.push_back(std::make_unique<World>());
  world_count_ = 1;
  world_ = worlds_.front().get();
  world_->input = input;
  world_->data = data;
  world_->cache.resize(program_.slots);
  ++generation_;
  steps_ = 0;
  next_check_ = kCheckInterval;
  depth_ = 0;
  printed_ = 0;
  collector_count_ = 0;
  memory_at_start_ = allocated_bytes();
  deadline_ = std::chrono::steady_clock::now() + options.limits.max_time;
}

// Also after an error, which leaves everything as it was in the middle.
void Machine::finish() {
  for (World::Cached& cached : world_->cache) cached.value = Value();
  while (world_count_ > 1) leave_world();
  World& world = *worlds_.front();
  for (World::Cached& cached : world.cache) cached.value = Value();
  world.calls.clear();
  world.input = Value();
  world.data = Value();
  for (Chunk& chunk : chunks_) {
    for (std::size_t i = 0; i < chunk.used; ++i) chunk.values[i] = Value();
    chunk.used = 0;
  }
  chunk_ = 0;
  for (auto& collector : collectors_) collector.clear();
  paths_.clear();
  nondeterministic_.clear();
}

Result<Value> Machine::rule(const RuleNode& node, const Value& data, const Value& input,
                            const EvalOptions& options) {
  start(data, input, options);
  Value out;
  const bool ok =
      node.kind == RuleKind::kInner ? node_extent(node, base_at(node), out) : rule_value(node, out);
  finish();
  if (!ok) return fail(error_);
  return out;
}

Result<std::vector<Row>> Machine::query(const CompiledQuery& query, const Value& data,
                                        const Value& input, const EvalOptions& options) {
  start(data, input, options);
  std::vector<Row> rows;
  rows_ = &rows;
  Value* registers = allocate(query.function.registers);
  Value out;
  const bool ok = run(query.function, registers, out);
  rows_ = nullptr;
  finish();
  if (!ok) return fail(error_);
  return rows;
}

bool Machine::rule_value(const RuleNode& node, Value& out) {
  if (!world_->hidden.empty() && is_hidden(node)) {
    const Value* base = base_at(node);
    out = base == nullptr ? Value() : *base;
    return true;
  }
  if (node.constant.defined()) {
    out = node.constant;
    return true;
  }
  const World::Cached& cached = world_->cache[node.slot];
  if (cached.generation == generation_) {
    out = cached.value;
    return true;
  }
  World* const world = world_;
  if (!call_function(node, {}, out)) return false;
  World::Cached& slot = world->cache[node.slot];
  slot.generation = generation_;
  slot.value = out;
  return true;
}

bool Machine::call_function(const RuleNode& node, std::span<const Value> args, Value& out) {
  const Function& fn = *node.function;
  if (args.size() != fn.arity) {
    out = Value();
    return true;
  }
  if (++depth_ > options_.limits.max_depth)
    return limit(fmt::format("calls nested more than {} deep", options_.limits.max_depth));
  Value* registers = allocate(fn.registers);
  std::copy(args.begin(), args.end(), registers);
  if (options_.tracer != nullptr) options_.tracer->enter(fn, args);
  const bool ok = run(fn, registers, out);
  if (options_.tracer != nullptr) options_.tracer->leave(fn, out);
  release(registers, fn.registers);
  --depth_;
  return ok;
}

bool Machine::call_builtin(const Builtin& builtin, std::span<const Value> args, const Location& loc,
                           Value& out) {
  const bool remember = (builtin.flags & kNondeterministic) != 0;
  Value key;
  if (remember) {
    std::vector<Value> parts = {Value::string(builtin.name)};
    parts.insert(parts.end(), args.begin(), args.end());
    key = Value::array(std::move(parts));
    if (const auto found = nondeterministic_.find(key); found != nondeterministic_.end()) {
      out = found->second;
      return true;
    }
  }
  Result<Value> result = builtin.function == nullptr || args.size() != builtin.arity
                             ? Result<Value>(Value())
                             : builtin.function(context_, args);
  if (!result) {
    const Code code = result.error().code();
    if (code == Code::kResourceExhausted || code == Code::kDeadlineExceeded ||
        code == Code::kCancelled)
      return limit(result.error().message(), code);
    if (options_.strict_builtin_errors) {
      const bool type = code == Code::kInvalidArgument;
      return error(loc, type ? "eval_type_error" : "eval_builtin_error",
                   fmt::format("{}: {}", builtin.name, result.error().message()), code);
    }
    out = Value();
    return true;
  }
  out = *std::move(result);
  if (out.depth() > kMaxDepth) return limit("a value is nested too deeply");
  if (remember) nondeterministic_.emplace(std::move(key), out);
  return true;
}

void Machine::print(const Function& fn, const Instr& instr, const Value* registers,
                    const Location& loc) {
  // One line for each combination of the operands' values.
  const auto count = static_cast<std::size_t>(instr.d);
  std::vector<std::size_t> at(count, 0);
  std::size_t combinations = 0;
  while (combinations++ < 1000 && printed_ < options_.limits.max_print) {
    std::string line;
    for (std::size_t i = 0; i < count; ++i) {
      const Value& values = registers[fn.lists[static_cast<std::size_t>(instr.c) + i]];
      if (i > 0) line += ' ';
      line += values.size() == 0 ? "<undefined>" : to_display(values.items()[at[i]]);
    }
    printed_ += line.size() + 1;
    options_.print->print(loc, line);
    std::size_t i = count;
    while (i > 0) {
      --i;
      const Value& values = registers[fn.lists[static_cast<std::size_t>(instr.c) + i]];
      if (++at[i] < values.size()) break;
      at[i] = 0;
      if (i == 0) return;
    }
    if (count == 0) return;
  }
}

void Machine::trace_failure(const Function& fn, const Instr& instr, const Value* registers) {
  const Value* const constants = fn.constants.data();
  const auto value = [&](Operand operand) -> const Value& {
    return operand >= 0 ? registers[operand] : constants[~operand];
  };
  const auto pc = static_cast<std::uint32_t>(&instr - fn.code.data());
  for (const Function::Range& aside : fn.aside)
    if (aside.begin <= pc && pc < aside.end) return;
  static const Value none;
  switch (instr.op) {
    case Op::kGet:
    case Op::kGetAny:
      return options_.tracer->failed(fn, pc, value(instr.b), value(instr.c));
    case Op::kGetPath: {
      // As far as the path leads, and the key that is not there.
      const Value* at = &value(instr.b);
      for (Operand i = 0; i < instr.d; ++i) {
        const Value& key = value(fn.lists.data()[instr.c + i]);
        const Value* next = at->get(key);
        if (next == nullptr) return options_.tracer->failed(fn, pc, *at, key);
        at = next;
      }
      return options_.tracer->failed(fn, pc, *at, none);
    }
    case Op::kTrue:
      // A builtin that said false: what it was asked says more.
      if (pc > 0 && fn.code[pc - 1].op == Op::kBuiltin && fn.code[pc - 1].a == instr.a)
        return trace_failure(fn, fn.code[pc - 1], registers);
      return options_.tracer->failed(fn, pc, value(instr.a), none);
    case Op::kIter:
      return options_.tracer->failed(fn, pc, value(instr.a), none);
    case Op::kNext:  // nothing to iterate over
    case Op::kNextAny:
      return options_.tracer->failed(fn, pc, value(instr.b), none);
    case Op::kBuiltin: {
      const auto argument = [&](Operand i) -> const Value& {
        return i < instr.d ? value(fn.lists.data()[instr.c + i]) : none;
      };
      return options_.tracer->failed(fn, pc, argument(0), argument(1));
    }
    case Op::kEqual:
    case Op::kNotEqual:
    case Op::kLess:
    case Op::kLessEqual:
    case Op::kGreater:
    case Op::kGreaterEqual:
    case Op::kMember:
      return options_.tracer->failed(fn, pc, value(instr.a), value(instr.b));
    default:
      return options_.tracer->failed(fn, pc, none, none);
  }
}

}  // namespace coffer::policy
