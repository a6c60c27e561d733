// SPDX-License-Identifier: Apache-2.0
// Threads that share the items of a list with the one that calls them.

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace bitsmith {

/// So many threads, that of the caller among them. Those that have no core to run on are not waited for.
class Team {
public:
    /// Called with the number of a member, from 0, and the first and the last but one of some items.
    using Work = std::function<void(std::size_t, std::size_t, std::size_t)>;

    explicit Team(std::size_t members) {
        try {
            for (std::size_t member = 1; member < members; ++member) helpers_.emplace_back([this, member] { help(member); });
        } catch (const std::system_error&) {
            // With fewer of them it only takes longer.
        }
    }

    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    ~Team() {
        {
            const std::lock_guard held(mutex_);
            ended_ = true;
        }
        called_.notify_all();
        for (std::thread& helper : helpers_) helper.join();
    }

    /// How many there are.
    std::size_t members() const { return 1 + helpers_.size(); }

    /// Do all of the work on `count` items; members take `kPart` of them at a time.
    void share(std::size_t count, const Work& work) {
        if (helpers_.empty() || count <= kPart) {
            work(0, 0, count);
            return;
        }
        {
            const std::lock_guard held(mutex_);
            work_ = &work;
            count_ = count;
            next_ = 0;
            ++call_;
        }
        called_.notify_all();
        take_parts(0, work, count);
        std::unique_lock held(mutex_);
        work_ = nullptr;
        left_.wait(held, [this] { return busy_ == 0; });
    }

private:
    static constexpr std::size_t kPart = 32;

    void take_parts(std::size_t member, const Work& work, std::size_t count) {
        for (std::size_t first = next_.fetch_add(kPart); first < count; first = next_.fetch_add(kPart)) {
            work(member, first, first + kPart < count ? first + kPart : count);
        }
    }

    void help(std::size_t member) {
        std::size_t heard = 0;
        std::unique_lock held(mutex_);
        while (true) {
            called_.wait(held, [&] { return ended_ || (work_ && call_ != heard); });
            if (ended_) return;
            heard = call_;
            const Work& work = *work_;
            const std::size_t count = count_;
            ++busy_;
            held.unlock();
            take_parts(member, work, count);
            held.lock();
            if (--busy_ == 0) left_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable called_, left_;
    const Work* work_ = nullptr;
    std::size_t count_ = 0;
    std::size_t call_ = 0;
    std::size_t busy_ = 0;
    std::atomic<std::size_t> next_ = 0;
    bool ended_ = false;
    std::vector<std::thread> helpers_;
};

}  // namespace bitsmith
