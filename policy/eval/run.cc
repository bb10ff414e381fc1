// The machine's loop.
#include <algorithm>

#include "policy/eval/machine.h"
#include "policy/eval/machine_state.h"

namespace coffer::policy {
namespace {

bool is_member(const Value& element, const Value& collection) {
  switch (collection.type()) {
    case Type::kSet:
      return collection.contains(element);
    case Type::kArray:
      return std::any_of(collection.items().begin(), collection.items().end(),
                         [&element](const Value& v) { return v == element; });
    case Type::kObject:
      return std::any_of(collection.entries().begin(), collection.entries().end(),
                         [&element](const Entry& e) { return e.value == element; });
    default:
      return false;
  }
}

}  // namespace

// A long function: one case an instruction, nothing in it worth a name of its own.
bool Machine::run(const Function& fn, Value* const registers, Value& out) {
  const Instr* const code = fn.code.data();
  const Value* const constants = fn.constants.data();
  const Operand* const lists = fn.lists.data();
  const Instr* instr = code;
  const auto value = [registers, constants](Operand operand) -> const Value& {
    return operand >= 0 ? registers[operand] : constants[~operand];
  };
  const auto location = [&]() -> const Location& {
    return fn.locations[static_cast<std::size_t>(instr - code)];
  };
  // Gathers a list of operands into a frame of its own.
  const auto gather = [&](Value* frame) {
    for (Operand i = 0; i < instr->d; ++i) frame[i] = value(lists[instr->c + i]);
  };
  const auto gathered = [&] {
    std::vector<Value> items;
    items.reserve(static_cast<std::size_t>(instr->d));
    for (Operand i = 0; i < instr->d; ++i) items.push_back(value(lists[instr->c + i]));
    return items;
  };
  bool held = true;
  while (true) {
    switch (instr->op) {
      case Op::kMove:
        registers[instr->a] = value(instr->b);
        break;
      case Op::kClear:
        registers[instr->a] = Value();
        break;
      case Op::kJump:
        instr = code + instr->target;
        continue;
      case Op::kJumpDefined:
        if (registers[instr->a].defined()) {
          instr = code + instr->target;
          continue;
        }
        break;
      case Op::kFail:
        held = false;
        break;
      case Op::kInput:
        held = world_->input.defined();
        if (held) registers[instr->a] = world_->input;
        break;
      case Op::kData:
        held = world_->data.defined();
        if (held) registers[instr->a] = world_->data;
        break;
      case Op::kGet: {
        const Value* found = value(instr->b).get(value(instr->c));
        held = found != nullptr;
        if (held) registers[instr->a] = Value(*found);
        break;
      }
      case Op::kGetBase: {
        const Value& document = value(instr->b);
        const Value& key = value(instr->c);
        const Value* found = document.get(key);
        if (found == nullptr && key.is_number() && document.is_object())
          found = document.find(key.number_text());
        held = found != nullptr;
        if (held) registers[instr->a] = Value(*found);
        break;
      }
      case Op::kGetPath: {
        const Value* at = &value(instr->b);
        for (Operand i = 0; i < instr->d && at != nullptr; ++i)
          at = at->get(value(lists[instr->c + i]));
        held = at != nullptr;
        if (held) registers[instr->a] = Value(*at);
        break;
      }
      case Op::kCursor:
        registers[instr->a] = make_cursor(*instr->node);
        break;
      case Op::kGetAny: {
        Value found;
        if (!cursor_get(value(instr->b), value(instr->c), found)) return false;
        held = found.defined() || found.is_opaque();
        if (held) registers[instr->a] = std::move(found);
        break;
      }
      case Op::kExtent: {
        Value found;
        if (!extent(value(instr->b), found)) return false;
        held = found.defined();
        if (held) registers[instr->a] = std::move(found);
        break;
      }
      case Op::kRule: {
        if (++steps_ > next_check_ && !step_check()) return false;
        Value& into = registers[instr->a];
        if (!rule_value(*instr->node, into)) return false;
        held = into.defined();
        break;
      }
      case Op::kCall: {
        if (++steps_ > next_check_ && !step_check()) return false;
        const auto count = static_cast<std::size_t>(instr->d);
        if (!world_->mocks.empty()) [[unlikely]] {
          if (const Mock* mock = find_mock(instr->node, nullptr); mock != nullptr) {
            const std::vector<Value> args = gathered();
            if (!call_mock(*mock, args, location(), registers[instr->a])) return false;
            held = registers[instr->a].defined();
            break;
          }
        }
        const Function& callee = *instr->node->function;
        if (++depth_ > options_.limits.max_depth)
          return limit("calls nested more than " + std::to_string(options_.limits.max_depth) +
                       " deep");
        Value* frame = allocate(callee.registers);
        gather(frame);
        if (options_.tracer != nullptr) [[unlikely]]
          options_.tracer->enter(callee, {frame, count});
        Value result;
        const bool ok = run(callee, frame, result);
        if (options_.tracer != nullptr) [[unlikely]]
          options_.tracer->leave(callee, result);
        release(frame, callee.registers);
        --depth_;
        if (!ok) return false;
        held = result.defined();
        registers[instr->a] = std::move(result);
        break;
      }
      case Op::kBuiltin: {
        if (++steps_ > next_check_ && !step_check()) return false;
        const auto count = static_cast<std::size_t>(instr->d);
        if (!world_->mocks.empty()) [[unlikely]] {
          if (const Mock* mock = find_mock(nullptr, instr->builtin); mock != nullptr) {
            const std::vector<Value> args = gathered();
            if (!call_mock(*mock, args, location(), registers[instr->a])) return false;
            held = registers[instr->a].defined();
            break;
          }
        }
        Value* frame = allocate(count);
        gather(frame);
        Value result;
        const bool ok = call_builtin(*instr->builtin, {frame, count}, location(), result);
        release(frame, count);
        if (!ok) return false;
        held = result.defined();
        registers[instr->a] = std::move(result);
        break;
      }
      case Op::kIter: {
        const Value& collection = value(instr->a);
        held = collection.is_composite();
        if (!held) break;
        registers[instr->b] = Value(collection);
        registers[instr->b + 1] = Value::integer(0);
        break;
      }
      case Op::kNext: {
        if (++steps_ > next_check_ && !step_check()) return false;
        const Value& collection = registers[instr->b];
        const std::int64_t at = registers[instr->b + 1].small_int();
        if (at >= static_cast<std::int64_t>(collection.size())) {
          if (at == 0 && options_.tracer != nullptr) [[unlikely]]
            trace_failure(fn, *instr, registers);
          registers[instr->b] = Value();
          instr = code + instr->target;
          continue;
        }
        registers[instr->b + 1] = Value::integer(at + 1);
        const auto i = static_cast<std::size_t>(at);
        if (collection.is_object()) {
          const Entry& entry = collection.entries()[i];
          if (instr->c >= 0) registers[instr->c] = entry.key;
          if (instr->d >= 0) registers[instr->d] = entry.value;
        } else {
          const Value& item = collection.items()[i];
          if (instr->c >= 0) registers[instr->c] = collection.is_set() ? item : Value::integer(at);
          if (instr->d >= 0) registers[instr->d] = item;
        }
        break;
      }
      case Op::kIterAny: {
        const Value& collection = value(instr->a);
        Value keys = collection.is_opaque() ? cursor_keys(collection) : Value();
        held = collection.is_opaque() || collection.is_composite();
        if (!held) break;
        registers[instr->b + 2] = std::move(keys);
        registers[instr->b] = Value(collection);
        registers[instr->b + 1] = Value::integer(0);
        break;
      }
      case Op::kNextAny: {
        if (++steps_ > next_check_ && !step_check()) return false;
        const Value collection = registers[instr->b];
        const Value keys = registers[instr->b + 2];
        const std::int64_t at = registers[instr->b + 1].small_int();
        const std::size_t size = collection.is_opaque() ? keys.size() : collection.size();
        if (at >= static_cast<std::int64_t>(size)) {
          if (at == 0 && options_.tracer != nullptr) [[unlikely]]
            trace_failure(fn, *instr, registers);
          instr = code + instr->target;
          continue;
        }
        registers[instr->b + 1] = Value::integer(at + 1);
        const auto i = static_cast<std::size_t>(at);
        Value key;
        Value item;
        if (collection.is_opaque()) {
          key = keys.items()[i];
          if (!cursor_get(collection, key, item)) return false;
          if (item.is_undefined() && !item.is_opaque()) continue;  // the same instruction again
        } else if (collection.is_object()) {
          key = collection.entries()[i].key;
          item = collection.entries()[i].value;
        } else {
          item = collection.items()[i];
          key = collection.is_set() ? item : Value::integer(at);
        }
        if (instr->c >= 0) registers[instr->c] = std::move(key);
        if (instr->d >= 0) registers[instr->d] = std::move(item);
        break;
      }
      case Op::kTrue:
        held = !value(instr->a).is_false();
        break;
      case Op::kEqual:
        held = value(instr->a) == value(instr->b);
        break;
      case Op::kNotEqual:
        held = !(value(instr->a) == value(instr->b));
        break;
      case Op::kLess:
        held = value(instr->a).compare(value(instr->b)) < 0;
        break;
      case Op::kLessEqual:
        held = value(instr->a).compare(value(instr->b)) <= 0;
        break;
      case Op::kGreater:
        held = value(instr->a).compare(value(instr->b)) > 0;
        break;
      case Op::kGreaterEqual:
        held = value(instr->a).compare(value(instr->b)) >= 0;
        break;
      case Op::kMember:
        held = is_member(value(instr->a), value(instr->b));
        break;
      case Op::kArray:
      case Op::kSet: {
        std::vector<Value> items = gathered();
        Value made = instr->op == Op::kArray ? Value::array_from(items) : Value::set_from(items);
        if (made.depth() > kMaxDepth) return limit("a value is nested too deeply");
        registers[instr->a] = std::move(made);
        break;
      }
      case Op::kObject: {
        ObjectBuilder builder;
        for (Operand i = 0; i + 1 < instr->d; i += 2)
          builder.add(value(lists[instr->c + i]), value(lists[instr->c + i + 1]));
        Value made = builder.build_unique();
        if (made.is_undefined())
          return error(location(), "eval_conflict_error", "object keys must be unique");
        if (made.depth() > kMaxDepth) return limit("a value is nested too deeply");
        registers[instr->a] = std::move(made);
        break;
      }
      case Op::kIsArray:
        held = value(instr->a).is_array() &&
               value(instr->a).size() == static_cast<std::size_t>(instr->b);
        break;
      case Op::kIsObject:
        held = value(instr->a).is_object() &&
               value(instr->a).size() == static_cast<std::size_t>(instr->b);
        break;
      case Op::kBegin:
        if (collector_count_ == collectors_.size()) collectors_.emplace_back();
        ++collector_count_;
        break;
      case Op::kAppend:
        collectors_[collector_count_ - 1].push_back(value(instr->a));
        break;
      case Op::kAppendPair:
        collectors_[collector_count_ - 1].push_back(value(instr->a));
        collectors_[collector_count_ - 1].push_back(value(instr->b));
        break;
      case Op::kEndArray:
      case Op::kEndSet: {
        if (steps_ > next_check_ && !step_check()) return false;
        auto& items = collectors_[--collector_count_];
        Value made = instr->op == Op::kEndArray ? Value::array_from(items) : Value::set_from(items);
        items.clear();
        if (made.depth() > kMaxDepth) return limit("a value is nested too deeply");
        registers[instr->a] = std::move(made);
        break;
      }
      case Op::kEndObject: {
        auto& items = collectors_[--collector_count_];
        ObjectBuilder builder;
        builder.reserve(items.size() / 2);
        for (std::size_t i = 0; i + 1 < items.size(); i += 2)
          builder.add(std::move(items[i]), std::move(items[i + 1]));
        items.clear();
        Value made = builder.build_unique();
        if (made.is_undefined())
          return error(location(), "eval_conflict_error", "object keys must be unique");
        if (made.depth() > kMaxDepth) return limit("a value is nested too deeply");
        registers[instr->a] = std::move(made);
        break;
      }
      case Op::kResult: {
        Value& result = registers[instr->a];
        const Value& next = value(instr->b);
        if (result.is_undefined()) {
          result = Value(next);
        } else if (!(result == next)) {
          return error(location(), "eval_conflict_error",
                       fn.is_function
                           ? "functions must not produce multiple outputs for same inputs"
                           : "complete rules must not produce multiple outputs");
        }
        break;
      }
      case Op::kPathBegin:
        paths_.push_back(std::make_unique<PathNode>());
        break;
      case Op::kPathValue:
      case Op::kPathSet:
      case Op::kPathDefault:
        if (!path_insert(instr->op, gathered(), value(instr->b), location())) return false;
        break;
      case Op::kPathEnd: {
        registers[instr->a] = path_value(*paths_.back());
        paths_.pop_back();
        if (registers[instr->a].depth() > kMaxDepth) return limit("a value is nested too deeply");
        break;
      }
      case Op::kReturn:
        out = value(instr->a);
        return true;
      case Op::kReturnUndefined:
        out = Value();
        return true;
      case Op::kWith:
        if (!enter_world(fn.withs[static_cast<std::size_t>(instr->a)], fn, registers, location()))
          return false;
        break;
      case Op::kEndWith:
        leave_world();
        break;
      case Op::kSkipPrint:
        if (options_.print == nullptr) {
          instr = code + instr->target;
          continue;
        }
        break;
      case Op::kPrint:
        print(fn, *instr, registers, location());
        break;
      case Op::kTemplate: {
        std::string text;
        for (Operand i = 0; i < instr->d; ++i) text += to_display(value(lists[instr->c + i]));
        if (text.size() > context_.max_result) return limit("a string is too long");
        registers[instr->a] = Value::string(text);
        break;
      }
      case Op::kRow:
        if (rows_ != nullptr) rows_->push_back({gathered(), static_cast<std::size_t>(instr->a)});
        break;
    }
    if (held) [[likely]] {
      ++instr;
      continue;
    }
    held = true;
    if (options_.tracer != nullptr) [[unlikely]]
      trace_failure(fn, *instr, registers);
    instr = code + instr->target;
  }
}

}  // namespace coffer::policy
