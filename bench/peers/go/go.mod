module coropanic/bench

go 1.19
