// Who reaps whom. Children that somebody waits for by pidfd are registered here; every other child
// that ends (an orphan that fell to us as sub-reaper or PID 1) is reaped at once, so that no zombie
// stays. While a launcher is at work its grandchild may already be ours without being known yet, so
// nothing unknown is reaped until it has finished.
#pragma once

#include <set>

#include "base/error.h"
#include "base/loop.h"
#include "base/subprocess.h"

namespace coffer::agent {

class ChildRegistry {
 public:
  // Held while a program runs that base/subprocess waits for, or that leaves us a grandchild.
  class [[nodiscard]] Busy {
   public:
    explicit Busy(ChildRegistry& registry) : registry_(registry) { ++registry_.busy_; }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() {
      if (--registry_.busy_ == 0) registry_.reap_orphans();
    }

   private:
    ChildRegistry& registry_;
  };

  void add(int pid) { known_.insert(pid); }
  void remove(int pid) { known_.erase(pid); }
  // Reaps on every SIGCHLD; for the life of the agent.
  [[nodiscard]] Task<void> reap_forever();

 private:
  void reap_orphans();

  std::set<int> known_;
  int busy_ = 0;
};

// base/subprocess's run(), with `registry` kept from reaping the child under it.
[[nodiscard]] Task<Result<RunResult>> run_program(ChildRegistry& registry, SpawnOptions options,
                                                  RunOptions run_options = {});

}  // namespace coffer::agent
