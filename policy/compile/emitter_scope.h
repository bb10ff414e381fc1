// What a closure (comprehension, negation, operand) must leave as it found it.
#pragma once

#include "policy/compile/emitter.h"

namespace coffer::policy {

class Emitter::ClosureScope {
 public:
  explicit ClosureScope(Emitter& emitter)
      : emitter_(emitter),
        fail_(emitter.fail_),
        bound_(emitter.bound_),
        register_(emitter.next_register_),
        loops_(emitter.loops_) {}
  ~ClosureScope() {
    emitter_.fail_ = fail_;
    emitter_.bound_ = bound_;
    emitter_.next_register_ = register_;
    emitter_.loops_ = loops_;
  }
  ClosureScope(const ClosureScope&) = delete;
  ClosureScope& operator=(const ClosureScope&) = delete;

 private:
  Emitter& emitter_;
  Label fail_;
  Bound bound_;
  Operand register_;
  std::uint32_t loops_;
};

}  // namespace coffer::policy
