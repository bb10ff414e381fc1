#include "policy/value/value.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "base/error.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

// Per thread because values are: the only way for a limit on memory to see what a query holds
// without a pointer to its owner in every value.
thread_local std::size_t live_bytes = 0;

// Below this many entries a scan that compares hashes beats the index.
constexpr std::uint32_t kScanSize = 8;
constexpr std::uint32_t kEmptySlot = 0xffffffffU;

void* allocate(std::size_t size) {
  live_bytes += size;
  return ::operator new(size);
}

void deallocate(void* memory, std::size_t size) {
  live_bytes -= size;
  ::operator delete(memory, size);
}

// Slots of the hash index of `size` elements: a power of two, at most half full.
std::uint32_t index_slots(std::uint32_t size) {
  std::uint32_t slots = 32;
  while (slots < size * 2) slots *= 2;
  return slots;
}

std::size_t composite_bytes(std::uint32_t size, std::size_t element) {
  return sizeof(detail::CompositeRep) + std::size_t{size} * element;
}

detail::CompositeRep* new_composite(std::size_t size, std::size_t element) {
  check(size < kEmptySlot, "a collection has too many elements");
  const auto count = static_cast<std::uint32_t>(size);
  return new (allocate(composite_bytes(count, element)))
      detail::CompositeRep{{1}, 1, count, 0, nullptr};
}

void free_index(const detail::CompositeRep* rep) {
  if (rep->index == nullptr) return;
  deallocate(rep->index, std::size_t{index_slots(rep->size)} * sizeof(std::uint32_t));
}

template <typename KeyAt>
void build_index(const detail::CompositeRep* rep, KeyAt key_at) {
  const std::uint32_t slots = index_slots(rep->size);
  auto* index = static_cast<std::uint32_t*>(allocate(std::size_t{slots} * sizeof(std::uint32_t)));
  std::fill_n(index, slots, kEmptySlot);
  for (std::uint32_t i = 0; i < rep->size; ++i) {
    auto slot = static_cast<std::uint32_t>(key_at(i).hash()) & (slots - 1);
    while (index[slot] != kEmptySlot) slot = (slot + 1) & (slots - 1);
    index[slot] = i;
  }
  rep->index = index;
}

template <typename KeyAt>
std::optional<std::uint32_t> lookup(const detail::CompositeRep* rep, const Value& key,
                                    KeyAt key_at) {
  if (rep->size <= kScanSize) {
    for (std::uint32_t i = 0; i < rep->size; ++i)
      if (key_at(i) == key) return i;
    return std::nullopt;
  }
  if (rep->index == nullptr) build_index(rep, key_at);
  const std::uint32_t slots = index_slots(rep->size);
  auto slot = static_cast<std::uint32_t>(key.hash()) & (slots - 1);
  while (rep->index[slot] != kEmptySlot) {
    const std::uint32_t i = rep->index[slot];
    if (key_at(i) == key) return i;
    slot = (slot + 1) & (slots - 1);
  }
  return std::nullopt;
}

}  // namespace

static_assert(sizeof(Value) == 16);
static_assert(alignof(detail::CompositeRep) >= alignof(Value));
static_assert(sizeof(detail::CompositeRep) % alignof(Value) == 0);

std::string_view type_name(Type type) {
  static constexpr std::string_view kNames[] = {"undefined", "null",  "boolean", "number",
                                                "string",    "array", "object",  "set"};
  return kNames[static_cast<std::size_t>(type)];
}

std::size_t allocated_bytes() { return live_bytes; }

Value Value::string(std::string_view text) {
  text = text.substr(0, std::numeric_limits<std::uint32_t>::max());
  auto* rep = new (allocate(sizeof(detail::StringRep) + text.size()))
      detail::StringRep{{1}, static_cast<std::uint32_t>(text.size()), 0};
  if (!text.empty()) std::memcpy(static_cast<void*>(rep + 1), text.data(), text.size());
  return {Tag::kString, rep};
}

Value Value::composite_from(Tag tag, std::span<Value> items) {
  auto* rep = new_composite(items.size(), sizeof(Value));
  Value* out = rep->items();
  std::uint32_t depth = 0;
  for (Value& item : items) {
    depth = std::max(depth, item.depth());
    new (out++) Value(std::move(item));
  }
  rep->depth = depth + 1;
  return {tag, rep};
}

Value Value::array_from(std::span<Value> items) { return composite_from(Tag::kArray, items); }

Value Value::set_from(std::span<Value> items) {
  if (!std::is_sorted(items.begin(), items.end())) std::stable_sort(items.begin(), items.end());
  const auto end = std::unique(items.begin(), items.end());
  return composite_from(Tag::kSet, items.first(static_cast<std::size_t>(end - items.begin())));
}

Value Value::object_from(std::span<Entry> entries) {
  const auto less = [](const Entry& a, const Entry& b) { return a.key < b.key; };
  if (!std::is_sorted(entries.begin(), entries.end(), less))
    std::stable_sort(entries.begin(), entries.end(), less);
  // Of a run of equal keys the last one stays.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (kept > 0 && entries[kept - 1].key == entries[i].key) --kept;
    if (kept != i) entries[kept] = std::move(entries[i]);
    ++kept;
  }
  auto* rep = new_composite(kept, sizeof(Entry));
  Entry* out = rep->entries();
  std::uint32_t depth = 0;
  for (Entry& entry : entries.first(kept)) {
    depth = std::max({depth, entry.key.depth(), entry.value.depth()});
    new (out++) Entry{std::move(entry)};
  }
  rep->depth = depth + 1;
  return {Tag::kObject, rep};
}

Value Value::array(std::vector<Value> items) { return array_from(items); }
Value Value::set(std::vector<Value> items) { return set_from(items); }
Value Value::object(std::vector<Entry> entries) { return object_from(entries); }

Value Value::empty_array() { return array({}); }
Value Value::empty_set() { return set({}); }
Value Value::empty_object() { return object({}); }

Value ObjectBuilder::build() {
  Value out = Value::object_from(entries_);
  entries_.clear();
  return out;
}

Value ObjectBuilder::build_unique() {
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.key < b.key; });
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    if (entries_[i - 1].key == entries_[i].key && !(entries_[i - 1].value == entries_[i].value)) {
      entries_.clear();
      return {};
    }
  }
  return build();
}

void Value::destroy() {
  switch (tag_) {
    case Tag::kBigNumber: {
      auto* rep = static_cast<detail::NumberRep*>(bits_.rep);
      live_bytes -= sizeof(detail::NumberRep);
      delete rep;
      return;
    }
    case Tag::kOpaque:
      delete static_cast<detail::OpaqueRep*>(bits_.rep);
      return;
    case Tag::kString: {
      auto* rep = static_cast<detail::StringRep*>(bits_.rep);
      deallocate(rep, sizeof(detail::StringRep) + rep->size);
      return;
    }
    case Tag::kArray:
    case Tag::kSet: {
      auto* rep = static_cast<detail::CompositeRep*>(bits_.rep);
      std::destroy_n(rep->items(), rep->size);
      free_index(rep);
      deallocate(rep, composite_bytes(rep->size, sizeof(Value)));
      return;
    }
    case Tag::kObject: {
      auto* rep = static_cast<detail::CompositeRep*>(bits_.rep);
      std::destroy_n(rep->entries(), rep->size);
      free_index(rep);
      deallocate(rep, composite_bytes(rep->size, sizeof(Entry)));
      return;
    }
    default:
      return;
  }
}

Value Value::number_from_literal(std::string_view text) {
  // Canonical: no sign before zero, no leading zero, at most 18 digits (always fits).
  const bool negative = !text.empty() && text.front() == '-';
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (!digits.empty() && digits.size() <= 18 && (digits.front() != '0' || text == "0")) {
    std::int64_t n = 0;
    bool integral = true;
    for (const char c : digits) {
      if (c < '0' || c > '9') {
        integral = false;
        break;
      }
      n = n * 10 + (c - '0');
    }
    if (integral) return integer(negative ? -n : n);
  }
  if (is_json_number(text)) {
    if (auto n = BigInt::parse(text)) {
      if (auto small = n->to_int64(); small && text != "-0") return integer(*small);
    }
  }
  auto* rep = new detail::NumberRep{{1}, std::string(text), 0};
  rep->approximate = std::strtod(rep->text.c_str(), nullptr);
  live_bytes += sizeof(detail::NumberRep);
  return {Tag::kBigNumber, rep};
}

bool Value::as_bool() const {
  check(is_boolean(), "Value::as_bool on another type");
  return bits_.integer == 1;
}

std::string Value::number_text() const {
  if (is_small_int()) return std::to_string(bits_.integer);
  check(is_number(), "Value::number_text on another type");
  return big_number()->text;
}

std::optional<std::uint32_t> Value::position(const Value& key) const {
  if (is_object())
    return lookup(composite(), key, [e = composite()->entries()](std::uint32_t i) -> const Value& {
      return e[i].key;
    });
  if (is_set())
    return lookup(composite(), key,
                  [v = composite()->items()](std::uint32_t i) -> const Value& { return v[i]; });
  return std::nullopt;
}

const Value* Value::find(const Value& key) const {
  if (!is_object()) return nullptr;
  const auto at = position(key);
  return at ? &composite()->entries()[*at].value : nullptr;
}

const Value* Value::find(std::string_view key) const { return find(Value::string(key)); }

bool Value::contains(const Value& element) const {
  return is_set() && position(element).has_value();
}

const Value* Value::get(const Value& key) const {
  switch (tag_) {
    case Tag::kArray: {
      std::int64_t i = key.bits_.integer;
      if (!key.is_small_int()) {
        if (!key.is_number()) return nullptr;
        const auto whole = to_int64(key);
        if (!whole) return nullptr;
        i = *whole;
      }
      if (i < 0 || i >= static_cast<std::int64_t>(composite()->size)) return nullptr;
      return composite()->items() + i;
    }
    case Tag::kObject: {
      const auto at = position(key);
      return at ? &composite()->entries()[*at].value : nullptr;
    }
    case Tag::kSet: {
      const auto at = position(key);
      return at ? composite()->items() + *at : nullptr;
    }
    default:
      return nullptr;
  }
}

Value with_entry(const Value& object, const Value& key, Value value) {
  ObjectBuilder builder;
  builder.reserve(object.size() + 1);
  bool placed = false;
  for (const Entry& entry : object.entries()) {
    const int order = placed ? 1 : entry.key.compare(key);
    if (!placed && order >= 0) {
      builder.add(key, value);
      placed = true;
      if (order == 0) continue;
    }
    builder.add(entry.key, entry.value);
  }
  if (!placed) builder.add(key, std::move(value));
  return builder.build();
}

Value without_entry(const Value& object, const Value& key) {
  ObjectBuilder builder;
  builder.reserve(object.size());
  for (const Entry& entry : object.entries())
    if (!(entry.key == key)) builder.add(entry.key, entry.value);
  return builder.build();
}

}  // namespace coffer::policy
